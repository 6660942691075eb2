import type { Server } from '../resources/kinds.ts';
import { FENCE_ANNOTATION } from './fence.ts';

/** A person's word for a Server, which `sidero adopt` writes; taken off when used. */
export const ADOPT_ANNOTATION = 'metal.sidero.dev/adopt';

/**
 * The person's word: which installation it was given to, and what fence the Server had. An annotation travels with `clusterctl move`: elsewhere
 * it means nothing, also before anybody here has read it; nor does it here, once the Server has been elsewhere.
 */
export function adoptionOf(server: Server, installation: string): string {
  return `${givenTo(installation)}${server.metadata.annotations?.[FENCE_ANNOTATION] ?? 'none'}`;
}

/** Whether a person said that a Server is ours, who are `installation`, although it has the fence that it has. */
export function isAdopted(server: Server, installation: string): boolean {
  return wordFor(server) === adoptionOf(server, installation);
}

/** Whether a person here said that the machine which reports next is that of the Server, although its parts differ. */
export function isMachineConfirmed(server: Server, installation: string): boolean {
  return wordFor(server)?.startsWith(givenTo(installation)) ?? false;
}

function wordFor({ metadata }: Server): string | undefined {
  return metadata.annotations?.[ADOPT_ANNOTATION];
}

function givenTo(installation: string): string {
  return `for ${installation} over `;
}
