import type { ServerEvent, Wire } from '../hooks.ts';
import type { Server } from '../resources/kinds.ts';
import type { Sighting } from './index.ts';

/** Remembers who was seen on which wire, by every name that a machine has there. */
export interface Evidence {
  note(event: ServerEvent): void;
  /** See `Power.seen`. */
  seen(server: Server, since: Date): Sighting | undefined;
}

/** Names remembered of each sort: the last that were seen. */
const NAMES = 20_000;

interface Contact extends Sighting {
  readonly uuid: string | undefined;
  readonly mac: string | undefined;
}

/** Fresh, knowing nobody. */
export function createEvidence(): Evidence {
  const byUuid = new RecentContacts();
  const byMac = new RecentContacts();
  const byAddress = new RecentContacts();
  return {
    note(event) {
      if (event.type !== 'seen' && event.type !== 'transfer') return;
      const { wire, at, address } = event;
      const { uuid, mac } = event.type === 'seen' ? event : {};
      const contact = { wire, at, uuid: uuid?.toLowerCase(), mac: mac?.toLowerCase() };
      byUuid.add(contact.uuid, contact);
      byMac.add(contact.mac, contact);
      byAddress.add(address, contact);
    },
    seen(server, since) {
      const { uuid, macs, addresses } = namesOf(server);
      // An address may be another machine's by now; what it said of itself there counts more.
      const isOurs = (contact: Contact | undefined) =>
        contact && (contact.uuid === undefined || contact.uuid === uuid) && (!contact.mac || macs.size === 0 || macs.has(contact.mac));
      const named = [byUuid.last(uuid), ...[...macs].map((mac) => byMac.last(mac)), ...bootRecordOf(server)];
      // Who is known by address only may be somebody else behind the same router; and the end of a download is told late, when the agent runs already.
      return lastOf(named, since) ?? lastOf([...addresses].map((address) => byAddress.last(address)).filter(isOurs), since);
    },
  };
}

function lastOf(contacts: readonly (Sighting | undefined)[], since: Date): Sighting | undefined {
  return contacts.reduce<Sighting | undefined>(
    (last, next) => (next && next.at >= since && (!last || next.at > last.at) ? sightingOf(next) : last),
    undefined,
  );
}

function namesOf({ metadata, spec, status }: Server): { uuid: string; macs: ReadonlySet<string>; addresses: ReadonlySet<string> } {
  const macs = [...(spec?.hardware?.network?.interfaces ?? []).map(({ mac }) => mac), status?.boot?.mac];
  const addresses = [...(status?.addresses ?? []).map(({ address }) => address), status?.boot?.address];
  return {
    uuid: metadata.name.toLowerCase(),
    macs: new Set(macs.filter((mac) => mac !== undefined && mac !== '').map((mac) => mac!.toLowerCase())),
    addresses: new Set(addresses.filter((address) => address !== undefined && address !== '') as string[]),
  };
}

// What any replica wrote down of the last boot.
function bootRecordOf({ status }: Server): readonly Sighting[] {
  const { handedAt, seenAt } = status?.boot ?? {};
  const at = (wire: Wire, time: string | undefined): Sighting[] => (time && !Number.isNaN(Date.parse(time)) ? [{ wire, at: new Date(time) }] : []);
  return [...at('ipxe', handedAt), ...at('agent', seenAt)];
}

const sightingOf = ({ wire, at }: Sighting): Sighting => ({ wire, at });

/** The last contact under each name; the names that were quiet longest are forgotten first. */
class RecentContacts {
  readonly #byName = new Map<string, Contact>();

  last(name: string): Contact | undefined {
    return this.#byName.get(name);
  }

  add(name: string | undefined, contact: Contact): void {
    if (!name) return;
    this.#byName.delete(name);
    this.#byName.set(name, contact);
    const oldest = this.#byName.size > NAMES ? this.#byName.keys().next().value : undefined;
    if (oldest !== undefined) this.#byName.delete(oldest);
  }
}
