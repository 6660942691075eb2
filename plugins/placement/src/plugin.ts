import { definePlugin, ServerBindingKind } from '@sidero/core';
import * as z from 'zod';
import { keepPlacedFor } from './keep-placed-for.ts';
import { Placement } from './placement.ts';

const ZONE_LABEL = 'topology.kubernetes.io/zone';

const weight = (of: string) => z.number().min(0).max(1_000_000).describe(`how much it counts that ${of}; 0: not at all`);
const label = (of: string) => z.string().min(1).describe(of);

/** What the plugin is told; see its README. */
export const options = z.strictObject({
  spread: weight('the failure domain of a server has few machines of the same control plane or MachineDeployment').default(100),
  spreadBy: label('label of Servers that names their failure domain').default(ZONE_LABEL),
  sticky: weight('the same control plane or MachineDeployment had the server before, as after a rollout').default(10),
  pack: weight('the domain of a server has many servers in use, so that others stay empty').default(0),
  packBy: label('label of Servers that names that domain, e.g. their rack').default(ZONE_LABEL),
  order: weight('a server comes early in the order of `orderBy`').default(1),
  orderBy: label('label of Servers by which they are ordered: numbers as numbers, texts by their letters, those without it last').optional(),
});

/** Which of the servers that fit a machine gets: spread over failure domains, the same again after a rollout, packed, ordered by label. */
export const placement = definePlugin({
  name: 'placement',
  options,
  setup({ hooks, resources, controllers }, given) {
    const rules = new Placement(resources, given);
    hooks.allocate.tapPromise('placement', (selection) => rules.score(selection));
    if (given.sticky === 0) return;
    controllers.add({
      name: 'placement',
      kind: ServerBindingKind,
      // There is no hurry: who waits for a server goes first.
      concurrency: 1,
      reconcile: ({ name }) => keepPlacedFor(resources, name),
    });
  },
});
