import { styleText } from 'node:util';
import { type MachineState, type Progress, type Stage, STAGES, stageOf } from '../machine/state.ts';
import { CLEAN, type Goal, type Standing } from './standing.ts';

/** One machine as the display knows it. */
export interface MachineView {
  readonly name: string;
  readonly state: MachineState;
  readonly progress?: Progress | undefined;
  readonly standing: Standing;
}

/** All that a frame of the display shows. */
export interface DemoView {
  /** One line or more. */
  readonly title: string;
  readonly machines: readonly MachineView[];
  readonly goal: Goal;
  /** The newest of what the machines log, the last one last: `4c4c4544 [talos] phase install (2/7)`. */
  readonly logs: readonly string[];
  readonly nowMs: number;
  /** When the demo gives up; milliseconds since 1970. */
  readonly deadlineMs: number;
  /** Characters a line may have. */
  readonly width: number;
}

const BAR_WIDTH = 20;
const LABEL_WIDTH = Math.max(...STAGES.map(({ label }) => label.length));

/** A frame: a title, a line for each machine, what they log, a sum. */
export function frame(view: DemoView): readonly string[] {
  const nameWidth = Math.max(...view.machines.map(({ name }) => name.length), 0);
  const lines = view.machines.map((machine) => `  ${machine.name.padEnd(nameWidth)}  ${machineLine(machine, view.nowMs)}`);
  const logs = view.logs.map((line) => `  | ${line}`);
  return [...view.title.split('\n'), ...lines, ...logs, sumOf(view)].map((line) => line.slice(0, view.width));
}

function sumOf({ machines, goal, nowMs, deadlineMs }: DemoView): string {
  const count = (is: (standing: Standing) => boolean) => machines.filter(({ standing }) => is(standing)).length;
  const done = count((standing) => goal.isReached(standing));
  if (done === machines.length) return `all ${done} ${goal.words}`;
  const left = duration(Math.max(0, deadlineMs - nowMs));
  return `${count(({ isAccepted }) => isAccepted)} of ${machines.length} accepted, ${done} ${goal.words}, ${left} left`;
}

/** A line for a terminal without cursor movement, written when a machine enters a state. */
export function plainLine(machine: MachineView, nowMs: number): string {
  const time = (ms: number) => new Date(ms).toISOString().slice(11, 23);
  return `${time(nowMs)} ${machine.name} ${stageShown(machine).label}${about(machine, (untilMs) => ` until ${time(untilMs)}`)}`;
}

/** The same frame in colours: green for what is done, red for what failed. */
export function coloured(lines: readonly string[]): readonly string[] {
  return lines.map((line) => {
    if (/^ {2}\S+ +off .*  clean$|^ {2}\S+ +running |^all /.test(line)) return styleText('green', line);
    if (line.startsWith('  | ')) return styleText('dim', line);
    return /^ {2}\S+ +failed/.test(line) ? styleText('red', line) : line;
  });
}

/** The machine may know before the API has told us; the API is what counts. */
function stageShown({ state, standing }: MachineView): Stage {
  if (state.stage === 'accepted' || state.stage === 'registered')
    return stageOf(standing.isClean ? 'clean' : standing.isAccepted ? 'accepted' : 'registered');
  if (state.stage === 'clean' && !standing.isClean) return stageOf('wiping');
  return stageOf(state.stage);
}

function machineLine(machine: MachineView, nowMs: number): string {
  const since = duration(nowMs - machine.state.sinceMs).padStart(7);
  const left = (untilMs: number) => `, ${duration(Math.max(0, untilMs - nowMs))} more`;
  return `${stageShown(machine).label.padEnd(LABEL_WIDTH)} ${since}${about(machine, left)}`.trimEnd();
}

/** What is worth saying of the state: how far it is, what it waits for and until when, or why it is over. */
function about(machine: MachineView, untilShown: (untilMs: number) => string): string {
  const { state, standing } = machine;
  const stage = stageShown(machine);
  if (state.stage === 'off' && CLEAN.isReached(standing)) return '  clean';
  if (state.stage === 'failed' || state.stage === 'off') return state.detail ? `  ${state.detail}` : '';
  const progress = machine.progress ?? (stage.name === 'wiping' ? standing.wipe : undefined);
  if (progress) return `  ${bar(progress)}`;
  const waits = stage.waitsFor ? `  waits for ${stage.waitsFor}` : '';
  const until = waits && state.untilMs !== undefined ? untilShown(state.untilMs) : '';
  const why = standing.trouble ?? state.detail;
  return `${waits}${until}${why ? ` (${why})` : ''}`;
}

/** A bar, the bytes, what they are of. */
export function bar({ subject, doneBytes, totalBytes }: Progress): string {
  if (!totalBytes) return `${bytes(doneBytes)}  ${subject}`;
  const done = Math.round(Math.min(1, doneBytes / totalBytes) * BAR_WIDTH);
  return `[${'#'.repeat(done)}${'.'.repeat(BAR_WIDTH - done)}] ${bytes(doneBytes, totalBytes)} of ${bytes(totalBytes)}  ${subject}`;
}

/** In the unit that suits `most`: files have megabytes, disks terabytes. */
function bytes(count: number, most = count): string {
  return most < 1e11 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e12).toFixed(1)} TB`;
}

/** "0.4 s", "12 s", "3 min 5 s". */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}
