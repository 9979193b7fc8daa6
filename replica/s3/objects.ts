/**
 * A bucket, or the part of one that a place names, as a backup needs it: objects by key. In: a place. Out: what is there, or a DestinationError.
 *
 * Invariants:
 * 1. Every method either does the whole of what it says or throws a DestinationError.
 * 2. What is written on a condition is written only if it holds at the moment of writing: the store decides between two writers.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { DestinationError, faultOf } from '../destination.js';
import { placeText } from '../place.js';
import type { S3Place } from '../place.js';
import { loadLibrary, makeClient } from './client.js';
import type { Library } from './client.js';
import { translateS3 } from './faults.js';

export interface StoredObject {
  readonly key: string;
  readonly size: number;
  /** By the clock of the store. */
  readonly modifiedMs: number;
}

/** An upload in parts that was begun. */
export interface BegunUpload {
  readonly key: string;
  readonly id: string;
  readonly begunMs: number;
}

export interface Part {
  readonly number: number;
  readonly size: number;
  /** As the store names it: MD5 in most. */
  readonly tag: string;
}

/** Only if there is nothing, or only if it is still what had this tag. */
export type Condition = 'absent' | { readonly tag: string };

const firstPauseMs = 250;
const mostReads = 3;

export class S3Objects {
  readonly shown: string;
  /** Requests at once. */
  readonly connections: number;
  readonly #place: S3Place;
  readonly #library: Library;
  readonly #client: S3Client;

  private constructor(place: S3Place, library: Library, client: S3Client) {
    this.shown = placeText(place);
    this.connections = place.connections;
    this.#place = place;
    this.#library = library;
    this.#client = client;
  }

  /** Asks nothing yet. Throws DestinationError. */
  static async open(place: S3Place): Promise<S3Objects> {
    const library = await loadLibrary();
    try {
      return new S3Objects(place, library, await makeClient(library, place));
    } catch (error) {
      throw translateS3(error, place);
    }
  }

  /** All of a small object, with its tag. Throws absent. */
  async get(key: string): Promise<{ readonly bytes: Buffer; readonly tag: string }> {
    return this.#read({ ...this.#at(key) });
  }

  /** Fewer bytes only where the object ends. Throws absent, damaged where it ends before the first. */
  async range(key: string, offset: number, length: number): Promise<Buffer> {
    return (await this.#read({ ...this.#at(key), Range: `bytes=${offset}-${offset + length - 1}` })).bytes;
  }

  async look(key: string): Promise<StoredObject | undefined> {
    try {
      const { ContentLength: size = 0, LastModified: modified } = await this.#try(() => this.#client.send(new this.#library.HeadObjectCommand(this.#at(key))));
      return { key, size, modifiedMs: modified?.getTime() ?? 0 };
    } catch (error) {
      if (faultOf(error) === 'absent') return undefined;
      throw error;
    }
  }

  /** The tag of what was written; undefined when the condition did not hold. */
  async put(key: string, bytes: Buffer, condition?: Condition): Promise<string | undefined> {
    const only = condition === undefined ? {} : condition === 'absent' ? { IfNoneMatch: '*' } : { IfMatch: condition.tag };
    try {
      const { ETag: tag } = await this.#client.send(new this.#library.PutObjectCommand({ ...this.#at(key), Body: bytes, ...only }));
      return plain(tag);
    } catch (error) {
      const { name = '' } = error as { readonly name?: string };
      if (condition === undefined || (name !== 'PreconditionFailed' && name !== 'ConditionalRequestConflict')) throw translateS3(error, this.#place);
      // Or this is the answer to a repetition, and the first attempt did it.
      return await this.#holds(key, bytes);
    }
  }

  /** Objects whose keys begin so, in the order of keys. */
  async* list(prefix: string): AsyncGenerator<StoredObject> {
    const { Bucket, Key } = this.#at(prefix);
    for (let token: string | undefined; ;) {
      const page = await this.#try(() => this.#client.send(new this.#library.ListObjectsV2Command({ Bucket, Prefix: Key, ...(token === undefined ? {} : { ContinuationToken: token }) })));
      for (const { Key: key = '', Size: size = 0, LastModified: modified } of page.Contents ?? []) yield { key: this.#keyOf(key), size, modifiedMs: modified?.getTime() ?? 0 };
      token = page.NextContinuationToken;
      if (page.IsTruncated !== true || token === undefined) return;
    }
  }

  /** What is not there is no fault. */
  async remove(key: string): Promise<void> {
    await this.#try(() => this.#client.send(new this.#library.DeleteObjectCommand(this.#at(key))));
  }

  async uploads(prefix: string): Promise<BegunUpload[]> {
    const { Bucket, Key } = this.#at(prefix);
    const found: BegunUpload[] = [];
    for (let marker: { KeyMarker?: string; UploadIdMarker?: string } = {}; ;) {
      const page = await this.#try(() => this.#client.send(new this.#library.ListMultipartUploadsCommand({ Bucket, Prefix: Key, ...marker })));
      for (const { Key: key = '', UploadId: id = '', Initiated: begun } of page.Uploads ?? []) found.push({ key: this.#keyOf(key), id, begunMs: begun?.getTime() ?? 0 });
      if (page.IsTruncated !== true || page.NextKeyMarker === undefined) return found;
      marker = { KeyMarker: page.NextKeyMarker, ...(page.NextUploadIdMarker === undefined ? {} : { UploadIdMarker: page.NextUploadIdMarker }) };
    }
  }

  async beginUpload(key: string): Promise<BegunUpload> {
    const { UploadId: id } = await this.#try(() => this.#client.send(new this.#library.CreateMultipartUploadCommand(this.#at(key))));
    if (id === undefined) throw new DestinationError('refused', `${this.shown} begins no upload in parts`);
    return { key, id, begunMs: Date.now() };
  }

  /** What has arrived. Throws absent when there is no such upload any more. */
  async parts({ key, id }: BegunUpload): Promise<Part[]> {
    const { Parts: parts = [] } = await this.#try(() => this.#client.send(new this.#library.ListPartsCommand({ ...this.#at(key), UploadId: id })));
    return parts.map(({ PartNumber: number = 0, Size: size = 0, ETag: tag }) => ({ number, size, tag: plain(tag) }));
  }

  async putPart({ key, id }: BegunUpload, number: number, bytes: Buffer): Promise<Part> {
    const { ETag: tag } = await this.#try(() => this.#client.send(new this.#library.UploadPartCommand({ ...this.#at(key), UploadId: id, PartNumber: number, Body: bytes })));
    return { number, size: bytes.length, tag: plain(tag) };
  }

  async finishUpload({ key, id }: BegunUpload, parts: readonly Part[]): Promise<void> {
    await this.#try(() => this.#client.send(new this.#library.CompleteMultipartUploadCommand({ ...this.#at(key), UploadId: id, MultipartUpload: { Parts: parts.map(({ number, tag }) => ({ PartNumber: number, ETag: tag })) } })));
  }

  async dropUpload({ key, id }: BegunUpload): Promise<void> {
    try {
      await this.#try(() => this.#client.send(new this.#library.AbortMultipartUploadCommand({ ...this.#at(key), UploadId: id })));
    } catch (error) {
      if (faultOf(error) !== 'absent') throw error;
    }
  }

  close(): void {
    this.#client.destroy();
  }

  async #read(input: { Bucket: string; Key: string; Range?: string }): Promise<{ bytes: Buffer; tag: string }> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#try(async () => {
          const { Body: body, ETag: tag } = await this.#client.send(new this.#library.GetObjectCommand(input));
          return { bytes: Buffer.from(await body?.transformToByteArray() ?? []), tag: plain(tag) };
        });
      } catch (error) {
        // The library repeats requests; a body that breaks off it does not.
        if (faultOf(error) !== 'gone' || attempt >= mostReads) throw error;
        await sleep(firstPauseMs * attempt);
      }
    }
  }

  async #holds(key: string, bytes: Buffer): Promise<string | undefined> {
    try {
      const there = await this.get(key);
      return there.bytes.equals(bytes) ? there.tag : undefined;
    } catch (error) {
      if (faultOf(error) === 'absent') return undefined;
      throw error;
    }
  }

  #at(key: string): { Bucket: string; Key: string } {
    const { bucket, prefix } = this.#place;
    return { Bucket: bucket, Key: prefix === '' ? key : `${prefix}/${key}` };
  }

  #keyOf(stored: string): string {
    const { prefix } = this.#place;
    return prefix === '' ? stored : stored.slice(prefix.length + 1);
  }

  async #try<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw translateS3(error, this.#place);
    }
  }
}

/** In quotes they are not compared by every store. */
function plain(tag: string | undefined): string {
  return (tag ?? '').replaceAll('"', '');
}

/** Does something to each, so many at once. The first fault ends all. */
export async function inParallel<T>(items: Iterable<T>, count: number, action: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  await Promise.all(Array.from({ length: count }, async () => {
    for (let next = left.next(); next.done !== true; next = left.next()) await action(next.value);
  }));
}
