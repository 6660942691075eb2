import { styleText } from 'node:util';
import { type MachineState, STAGES, stageOf, type Transfer } from '../machine/state.ts';

/** One machine as the display knows it. */
export interface MachineView {
  readonly name: string;
  readonly state: MachineState;
  readonly transfer?: Transfer | undefined;
  /** What the API says: `spec.accepted` of its Server. Only this makes a machine count. */
  readonly isAccepted: boolean;
}

/** All that a frame of the display shows. */
export interface DemoView {
  readonly title: string;
  readonly machines: readonly MachineView[];
  readonly nowMs: number;
  /** When the demo gives up; milliseconds since 1970. */
  readonly deadlineMs: number;
  /** Characters a line may have. */
  readonly width: number;
}

const BAR_WIDTH = 20;
const LABEL_WIDTH = Math.max(...STAGES.map(({ label }) => label.length));

/** A frame: a title, a line for each machine, a sum. */
export function frame(view: DemoView): readonly string[] {
  const accepted = view.machines.filter(({ isAccepted }) => isAccepted).length;
  const left = Math.max(0, view.deadlineMs - view.nowMs);
  const sum =
    accepted === view.machines.length ? `all ${accepted} accepted` : `${accepted} of ${view.machines.length} accepted, ${duration(left)} left`;
  const nameWidth = Math.max(...view.machines.map(({ name }) => name.length), 0);
  const lines = view.machines.map((machine) => `  ${machine.name.padEnd(nameWidth)}  ${machineLine(machine, view.nowMs)}`);
  return [view.title, ...lines, sum].map((line) => line.slice(0, view.width));
}

/** A line for a terminal without cursor movement, written when a machine enters a state. */
export function plainLine(machine: MachineView, nowMs: number): string {
  const time = (ms: number) => new Date(ms).toISOString().slice(11, 23);
  return `${time(nowMs)} ${machine.name} ${stageShown(machine).label}${about(machine, (untilMs) => ` until ${time(untilMs)}`)}`;
}

/** The same frame in colours: green for what is done, red for what failed. */
export function coloured(lines: readonly string[]): readonly string[] {
  return lines.map((line) => {
    if (/^ {2}\S+ +accepted|^all /.test(line)) return styleText('green', line);
    return /^ {2}\S+ +failed/.test(line) ? styleText('red', line) : line;
  });
}

function stageShown({ state, isAccepted }: MachineView) {
  if (isAccepted) return stageOf('accepted');
  // The agent may know before the API has told us; the API is what counts.
  return stageOf(state.stage === 'accepted' ? 'registered' : state.stage);
}

function machineLine(machine: MachineView, nowMs: number): string {
  const since = duration(nowMs - machine.state.sinceMs).padStart(7);
  const left = (untilMs: number) => `, ${duration(Math.max(0, untilMs - nowMs))} more`;
  return `${stageShown(machine).label.padEnd(LABEL_WIDTH)} ${since}${about(machine, left)}`.trimEnd();
}

/** What is worth saying of the state: a transfer, what it waits for and until when, or why it failed. */
function about(machine: MachineView, untilShown: (untilMs: number) => string): string {
  const { state, transfer } = machine;
  const stage = stageShown(machine);
  if (machine.isAccepted) return '';
  if (state.stage === 'failed' || state.stage === 'off') return state.detail ? `  ${state.detail}` : '';
  if (transfer) return `  ${progress(transfer)}`;
  const waits = stage.waitsFor ? `  waits for ${stage.waitsFor}` : '';
  const until = waits && state.untilMs !== undefined ? untilShown(state.untilMs) : '';
  return `${waits}${until}${state.detail ? ` (${state.detail})` : ''}`;
}

/** A bar, the bytes, the file. */
export function progress({ file, receivedBytes, totalBytes }: Transfer): string {
  if (!totalBytes) return `${megabytes(receivedBytes)}  ${file}`;
  const done = Math.round(Math.min(1, receivedBytes / totalBytes) * BAR_WIDTH);
  return `[${'#'.repeat(done)}${'.'.repeat(BAR_WIDTH - done)}] ${megabytes(receivedBytes)} of ${megabytes(totalBytes)}  ${file}`;
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

/** "0.4 s", "12 s", "3 min 5 s". */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}
