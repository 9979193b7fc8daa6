/** Printing that is complete when the promise resolves, however slow the reader of the pipe is. A reader that left (EPIPE) rejects. */

/** Writes to standard output and waits until it is handed to the system. */
export function print(text: string): Promise<void> {
  return written(process.stdout, text);
}

/** Writes one line to standard error. */
export function note(line: string): Promise<void> {
  return written(process.stderr, `${line}\n`);
}

function written(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
