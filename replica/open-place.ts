/** Opens a place where files lie as files: the one file that knows which of these there are. In: a place. Out: a Destination. */
import type { Abilities, Destination } from './destination.js';
import type { TreePlace } from './place.js';

/** `abilities`: as they were found out before. Throws DestinationError. */
export async function openPlace(place: TreePlace, abilities?: Abilities): Promise<Destination> {
  // Loaded here, so that who writes to a directory loads no FTP.
  if (place.kind === 'ftp') return (await import('./ftp-destination.js')).FtpDestination.open(place);
  return (await import('./directory-destination.js')).DirectoryDestination.open(place.path, abilities);
}
