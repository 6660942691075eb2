import type { Server } from '@sidero/core';
import { countBy, type DomainCounts, domainOf } from './group-domains.ts';

/** What one rule makes of one server: 0 (nothing) to 1 (as good as it gets), and why, for people. */
export interface Share {
  readonly share: number;
  readonly why: string;
}

/** One rule over the servers that a claim may get; the answers are in their order. */
export type Rule = (servers: readonly Server[]) => readonly Share[];

const NOTHING = 0;

/** Servers in domains that have few machines of the same group are better; `counts` says how many there are where, `size` how many in all. */
export function spread(label: string, { counts, size }: { readonly counts: DomainCounts; readonly size: number }): Rule {
  return (servers) => {
    const known = servers.flatMap((server) => domainOf(server, label) ?? []).map((domain) => counts.get(domain) ?? 0);
    const [least, most] = [Math.min(...known), Math.max(...known)];
    return servers.map((server) => {
      const domain = domainOf(server, label);
      if (domain === undefined) return { share: NOTHING, why: `it has no label ${label}` };
      const count = counts.get(domain) ?? 0;
      return { share: most === least ? 1 : (most - count) / (most - least), why: `${domain} has ${count} of ${size} of its group` };
    });
  };
}

/** Servers in domains where most of `used` are, whoever uses them, are better: others stay empty. */
export function pack(label: string, used: readonly Server[]): Rule {
  return (servers) => {
    const counts = countBy(label, used);
    const countOf = (server: Server) => counts.get(domainOf(server, label) ?? '') ?? 0;
    const most = Math.max(0, ...servers.map(countOf));
    return servers.map((server) => {
      const domain = domainOf(server, label);
      if (domain === undefined) return { share: NOTHING, why: `it has no label ${label}` };
      return { share: most === 0 ? NOTHING : countOf(server) / most, why: `${domain} has ${countOf(server)} servers in use` };
    });
  };
}

/** Servers that `isKnown` says the same group had before are better. */
export function sticky(isKnown: (server: Server) => boolean): Rule {
  return (servers) => servers.map((server) => (isKnown(server) ? { share: 1, why: 'its group had it before' } : { share: NOTHING, why: '' }));
}

/** Servers whose label comes first are better: numbers as numbers, texts by their letters; those without the label are last. */
export function order(label: string): Rule {
  return (servers) => {
    const values = [...new Set(servers.flatMap((server) => domainOf(server, label) ?? []))].toSorted(compare);
    const ranks = new Map(values.map((value, rank) => [value, rank]));
    return servers.map((server) => {
      const value = domainOf(server, label);
      if (value === undefined) return { share: NOTHING, why: `it has no label ${label}` };
      return { share: 1 - ranks.get(value)! / values.length, why: `${label} is ${value}` };
    });
  };
}

function compare(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
