import type { Facts, Told } from './step.ts';

/** A wish for the power that nobody can read: everything stays as it is. */
export function unreadable(ready: boolean): Told {
  const next = 'correct the annotation metal.sidero.dev/power: it is on or off; or remove it';
  return { name: 'PowerHeld', reason: 'its annotation for the wanted power state cannot be read', next, ready };
}

/** Held in a power state by a person. */
export function kept({ server }: Facts, told: Told, wanted: 'on' | 'off'): Told {
  const next = `sidero power auto ${server.metadata.name} leaves it to Sidero again`;
  return { ...told, name: 'PowerHeld', reason: `a person wants it ${wanted}; ${told.reason}`, next };
}
