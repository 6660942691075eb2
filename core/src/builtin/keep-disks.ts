import * as z from 'zod';
import {
  definePlugin,
  type Hold,
  type KubeObject,
  matchServerClass,
  type ResourceClient,
  ruleFits,
  type Server,
  type ServerClass,
  ServerClassKind,
  type WipePlan,
} from '../index.ts';

/** On a Server, or on a ServerClass for all Servers it holds: disks that are never wiped, as `serial:S4XANX0,wwn:naa.5000c500a1b2c3d4`. */
export const KEEP_DISKS_ANNOTATION = 'metal.sidero.dev/keep-disks';

type Rule = WipePlan['disks'][number];

/** Takes the disks that annotations name out of every wipe. An annotation that cannot be read holds the wipe: it was meant to save something. */
export const keepDisks = definePlugin({
  name: 'keep-disks',
  options: z.strictObject({}),
  setup({ hooks, resources }) {
    // Last, so that no plugin's rule comes before.
    hooks.wipe.tapPromise({ name: 'keep-disks', stage: 1000 }, async (plan, server) =>
      'hold' in plan ? plan : withKept(plan, await keepRulesFor(server, resources), server),
    );
  },
});

/** The rules that annotations make for a Server, or the annotation that cannot be read. */
async function keepRulesFor(server: Server, resources: ResourceClient): Promise<readonly Rule[] | Hold> {
  const classes = (await annotatedClasses(resources)).filter((serverClass) => matchServerClass(serverClass)(server));
  const rules: Rule[] = [];
  for (const [holder, what] of [[server, 'the Server'] as const, ...classes.map((one) => [one, `ServerClass ${one.metadata.name}`] as const)]) {
    const read = parseKeepDisks(annotationOf(holder), `annotation ${KEEP_DISKS_ANNOTATION} of ${what}`);
    if ('hold' in read) return read;
    rules.push(...read);
  }
  return rules;
}

// Live: a class that was annotated a moment ago counts. First only who is annotated: a class lists the servers of the whole fleet.
async function annotatedClasses(resources: ResourceClient): Promise<readonly ServerClass[]> {
  const annotated = (await resources.listMetadata(ServerClassKind)).filter((one) => annotationOf(one) !== undefined);
  const classes = await Promise.all(annotated.map(({ metadata: { name } }) => resources.get(ServerClassKind, { name }, { live: true })));
  return classes.flatMap((one) => (one && annotationOf(one) !== undefined ? [one] : []));
}

function annotationOf({ metadata }: KubeObject): string | undefined {
  return metadata.annotations?.[KEEP_DISKS_ANNOTATION];
}

/** Reads `serial:X,wwn:Y`; `source` is where it stands, for the reason and for the hold. Absent is no rule. */
export function parseKeepDisks(text: string | undefined, source: string): readonly Rule[] | Hold {
  if (text === undefined) return [];
  const rules: Rule[] = [];
  for (const part of text.split(',')) {
    const match = /^\s*(serial|wwn):\s*(\S(?:.*\S)?)\s*$/s.exec(part);
    if (!match) return { hold: `the ${source} cannot be read: "${part.trim()}" is neither serial:… nor wwn:…` };
    rules.push({ [match[1]!]: match[2]!, method: 'keep', reason: source });
  }
  return rules;
}

function withKept(plan: WipePlan, rules: readonly Rule[] | Hold, server: Server): WipePlan | Hold {
  if ('hold' in rules) return rules;
  const unknown = rules.find((rule) => rule.reason.endsWith('of the Server') && !isThere(rule, server));
  // A class names disks of many servers; who names one on the Server itself has mistyped it, or looks for a disk that is gone.
  if (unknown) return { hold: `the ${unknown.reason} names ${unknown.serial ?? unknown.wwn}, and the machine has reported no such disk` };
  // First: what is to be kept is stronger than any other wish.
  return rules.length === 0 ? plan : { ...plan, disks: [...rules, ...plan.disks] };
}

function isThere(rule: Rule, { spec }: Server): boolean {
  return (spec?.hardware?.storage?.devices ?? []).some(({ serialNumber, wwid }) => ruleFits(rule, { serial: serialNumber, wwn: wwid }));
}
