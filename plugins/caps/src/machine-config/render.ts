import { type ConfigDocument, parseDocuments, printDocuments } from './documents.ts';
import { withNodeLabel } from './node-label.ts';
import { applyPatch, parsePatch, type Patch } from './patch.ts';

/** What a machine's configuration is made from, in the order in which it is applied. */
export interface RenderInput {
  /** The Server's name. */
  readonly uuid: string;
  /** `value` of the bootstrap Secret. */
  readonly bootstrap: string;
  /** Of the ServerClass that the binding names. */
  readonly serverClass?: PatchSource | undefined;
  readonly server: PatchSource;
  /** Documents that plugins add, for example SideroLink's; merged last. */
  readonly documents: readonly string[];
  /** RFC 6902 patches that plugins add; applied last. */
  readonly patches: readonly ConfigPatchEntry[];
}

/** One entry of `spec.configPatches`. */
export interface ConfigPatchEntry {
  readonly op: string;
  readonly path: string;
  readonly from?: string | undefined;
  readonly value?: unknown;
}

/** An object with patches; `name` is how people know it: "ServerClass large". */
export interface PatchSource {
  readonly name: string;
  readonly configPatches?: readonly ConfigPatchEntry[] | undefined;
  readonly strategicPatches?: readonly string[] | undefined;
}

/** A line of the result, and the stage that last changed it. */
export interface RenderedLine {
  readonly text: string;
  readonly origin: string;
}

/** Pairs of lines. Where more would be compared, as when a whole configuration is replaced, everything counts as changed. */
const MAX_COMPARED = 25_000_000;

/** One step of the work, as people know it. */
interface Stage {
  readonly name: string;
  readonly apply: (config: readonly ConfigDocument[]) => readonly ConfigDocument[];
}

/**
 * The configuration a machine gets. The same input gives the same bytes.
 * @throws SIDERO_MACHINE_CONFIG_INVALID, SIDERO_MACHINE_CONFIG_PATCH_FAILED
 */
export function renderConfig(input: RenderInput): string {
  const config = parseDocuments(input.bootstrap, 'the bootstrap data');
  return printDocuments(stagesOf(input).reduce((documents, stage) => stage.apply(documents), config));
}

/** The same, line by line with its origin. @throws as `renderConfig` */
export function explainConfig(input: RenderInput): readonly RenderedLine[] {
  let documents = parseDocuments(input.bootstrap, 'the bootstrap data');
  let lines = linesOf(documents).map((text): RenderedLine => ({ text, origin: 'bootstrap data' }));
  for (const { name, apply } of stagesOf(input)) {
    documents = apply(documents);
    lines = withOrigins(lines, linesOf(documents), name);
  }
  return lines;
}

const linesOf = (documents: readonly ConfigDocument[]) => printDocuments(documents).trimEnd().split('\n');

function stagesOf({ uuid, serverClass, server, documents, patches }: RenderInput): readonly Stage[] {
  const sources = [...(serverClass ? [serverClass] : []), server].flatMap(patchesOf);
  const added = documents.map((text, index) => parsePatch(text, `document ${index + 1} that plugins add`));
  const last: readonly Patch[] = patches.length > 0 ? [{ what: 'the patches that plugins add', operations: patches }] : [];
  const stage = (patch: Patch): Stage => ({ name: patch.what, apply: (config) => applyPatch(config, patch) });
  const label: Stage = { name: 'node label', apply: (config) => withNodeLabel(config, uuid) };
  return [...sources.map(stage), label, ...added.map(stage), ...last.map(stage)];
}

/** RFC 6902 before strategic merges, as the original has it. */
function patchesOf({ name, configPatches = [], strategicPatches = [] }: PatchSource): readonly Patch[] {
  const operations: readonly Patch[] = configPatches.length > 0 ? [{ what: `configPatches of ${name}`, operations: configPatches }] : [];
  return [...operations, ...strategicPatches.map((text, index) => parsePatch(text, `strategicPatches[${index}] of ${name}`))];
}

/** Lines that were there keep their origin: those of a longest common subsequence. A stage changes little: what is the same around it is not compared. */
function withOrigins(before: readonly RenderedLine[], after: readonly string[], origin: string): RenderedLine[] {
  const most = Math.min(before.length, after.length);
  let head = 0;
  while (head < most && before[head]!.text === after[head]) head++;
  let tail = 0;
  while (tail < most - head && before.at(-1 - tail)!.text === after.at(-1 - tail)) tail++;
  const middle = between(before.slice(head, before.length - tail), after.slice(head, after.length - tail), origin);
  return [...before.slice(0, head), ...middle, ...before.slice(before.length - tail)];
}

function between(before: readonly RenderedLine[], after: readonly string[], origin: string): RenderedLine[] {
  if (before.length * after.length > MAX_COMPARED) return after.map((text) => ({ text, origin }));
  const common = commonLengths(
    before.map(({ text }) => text),
    after,
  );
  const result: RenderedLine[] = [];
  let at = 0;
  for (const [index, text] of after.entries()) {
    while (at < before.length && before[at]!.text !== text && common[at + 1]![index]! >= common[at]![index + 1]!) at++;
    const isKept = at < before.length && before[at]!.text === text;
    result.push(isKept ? before[at++]! : { text, origin });
  }
  return result;
}

/** `[i][j]` is the length of the longest common subsequence of the lines from i and from j on. */
function commonLengths(left: readonly string[], right: readonly string[]): readonly Uint32Array[] {
  const lengths = Array.from({ length: left.length + 1 }, () => new Uint32Array(right.length + 1));
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      lengths[i]![j] = left[i] === right[j] ? lengths[i + 1]![j + 1]! + 1 : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!);
    }
  }
  return lengths;
}
