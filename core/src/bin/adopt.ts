import type { Command } from 'commander';
import { ADOPT_ANNOTATION, adoptionOf } from '../lifecycle/adoption.ts';
import { readInstallation } from '../lifecycle/fence.ts';
import { ServerKind } from '../resources/kinds.ts';
import { type ApiOptions, runningSidero, serverNamed, withApiOptions } from './running-sidero.ts';

/** `sidero adopt SERVER`: the machine that reports next under this UUID is the Server's, although its parts differ; and the Server is ours. */
export function adoptCommand(program: Command): void {
  withApiOptions(program.command('adopt <server>'))
    .description('confirm that a machine whose parts changed is still this Server, and that this installation may act on it')
    .action(async (name: string, options: ApiOptions) => {
      await using sidero = runningSidero(options);
      await serverNamed(sidero, name);
      const installation = await readInstallation(sidero.resources);
      await sidero.resources.change(ServerKind, { name }, (draft) => {
        draft.metadata.annotations = { ...draft.metadata.annotations, [ADOPT_ANNOTATION]: adoptionOf(draft, installation) };
      });
      const fenced = 'if another installation had fenced it, it is ours now';
      process.stdout.write(`server ${name}: ${fenced}; else the next machine that reports under this UUID is taken as this Server\n`);
    });
}
