import type { AllocationExplained, Claim, Sidero } from '@sidero/core';
import type { ClusterApi } from './cluster-api-version.ts';
import { gatherFacts } from './controllers/metal-machine-facts.ts';
import { claimOf, type MachineFacts, nextStep } from './controllers/metal-machine-step.ts';
import { failure } from './errors.ts';
import { metalMachineNamed } from './metal-machine-named.ts';

/** What `sidero allocate --explain --json` prints. */
export interface AllocationReport {
  readonly metalMachine: string;
  /** What it waits for, where that is no server. */
  readonly waits: string | undefined;
  readonly taken: string | undefined;
  /** The best first: what it would get now. */
  readonly candidates: readonly { readonly server: string; readonly score: number; readonly notes: readonly string[] }[];
  readonly rejected: readonly { readonly server: string; readonly by: string; readonly reason: string }[];
}

/** `sidero allocate --explain NAMESPACE/METALMACHINE`: every server, and why the machine gets it or not. Takes none. */
export function addAllocateCommand(sidero: Sidero, clusterApi: ClusterApi): void {
  sidero.commands.add({
    name: 'allocate',
    usesApi: true,
    define(command) {
      command
        .description('tell of every server why a MetalMachine gets it or not')
        .argument('<namespace/metalmachine>')
        .requiredOption('--explain', 'servers are given by the sidero that runs; this only tells what it does')
        .option('--json', 'as one JSON object')
        .action(async (name: string, { json }: { readonly json?: boolean }) => {
          const report = await reportOn(sidero, clusterApi, name);
          process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `${reportText(report).join('\n')}\n`);
        });
    },
  });
}

/** What became of the claim of a MetalMachine, or would. @throws SIDERO_METAL_MACHINE_UNNAMED and what `lifecycle.explainAllocation` throws */
export async function reportOn(
  { resources, lifecycle }: Pick<Sidero, 'resources' | 'lifecycle'>,
  clusterApi: ClusterApi,
  metalMachine: string,
): Promise<AllocationReport> {
  const facts = await gatherFacts({ resources, clusterApi }, metalMachineNamed(metalMachine));
  if (!facts) throw failure('SIDERO_METAL_MACHINE_UNNAMED', { given: metalMachine });
  const { taken, candidates, rejected }: AllocationExplained = await lifecycle.explainAllocation(claimFor(facts));
  return {
    metalMachine,
    waits: whyItWaits(facts),
    taken: taken?.metadata.name,
    candidates: candidates.map(({ server, score, notes }) => ({ server: server.metadata.name, score, notes })),
    rejected: rejected.map(({ server, plugin, reason }) => ({ server: server.metadata.name, by: plugin, reason })),
  };
}

function whyItWaits(facts: MachineFacts): string | undefined {
  const step = nextStep(facts);
  if (step.kind === 'pause') return 'it or its Cluster is paused';
  return step.kind === 'wait' ? step.why.message : undefined;
}

// A serverRef beside a class is what the class gave.
function claimFor({ metalMachine, machine, bindings }: MachineFacts): Claim {
  const { serverRef, serverClassRef } = metalMachine.spec ?? {};
  const claim = claimOf(metalMachine, machine);
  if (serverClassRef?.name && (bindings.length > 0 || !serverRef?.name)) return { ...claim, serverClass: serverClassRef.name };
  return serverRef?.name ? { ...claim, server: serverRef.name } : claim;
}

/** The same for people: the server it has, those it could get, and those it could not. */
export function reportText({ metalMachine, waits, taken, candidates, rejected }: AllocationReport): readonly string[] {
  const [first] = candidates;
  const next = first ? `would get ${first.server} now` : 'would get no server now';
  const rows = [
    ...(taken === undefined ? [] : [[taken, 'taken', 'its ServerBinding is there']]),
    ...candidates.map(({ server, score, notes }) => [server, String(score), notes.join('; ') || 'fits']),
    ...rejected.map(({ server, by, reason }) => [server, '-', by === 'core' ? reason : `${reason} (${by})`]),
  ];
  const width = Math.max(6, ...rows.map(([server = '']) => server.length));
  return [
    `MetalMachine ${metalMachine} ${taken === undefined ? next : `has ${taken}`}${waits === undefined ? '' : `; it waits: ${waits}`}`,
    ...[['SERVER', 'SCORE', 'WHY'], ...rows].map(([server = '', score = '', why = '']) => `${server.padEnd(width)}  ${score.padStart(6)}  ${why}`),
  ];
}
