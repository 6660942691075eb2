/** One line of the table: ours, beside a peer that ran in the same minute on the same machine. */
export interface Measurement {
  readonly what: string;
  readonly ours: number;
  readonly unit: string;
  /** Decimals that mean something. */
  readonly digits: number;
  readonly peer?: { readonly name: string; readonly value: number };
  readonly note?: string;
}

/** The measurements as a markdown table. */
export function table(measurements: readonly Measurement[]): string {
  const rows = measurements.map((m) => [m.what, `${shown(m, m.ours)} ${m.unit}`, peerShown(m), ratioShown(m), m.note ?? '']);
  return [['measured', 'Sidero', 'peer', 'Sidero : peer', 'how'], ['---', '--:', '--:', '--:', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

const shown = ({ digits }: Measurement, value: number) =>
  value.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits });

const peerShown = (m: Measurement) => (m.peer ? `${shown(m, m.peer.value)} ${m.unit} (${m.peer.name})` : '');

const ratioShown = ({ ours, peer }: Measurement) => (peer ? ratio(ours / peer.value) : '');

const ratio = (value: number) => (value < 0.1 ? value.toPrecision(2) : value.toFixed(2));

const MARKERS = { start: '<!-- bench:start -->', end: '<!-- bench:end -->' };

/** `text` with what stands between the markers replaced; undefined when it has none. */
export function withTable(text: string, replacement: string): string | undefined {
  const begin = text.indexOf(MARKERS.start);
  const end = text.indexOf(MARKERS.end);
  if (begin < 0 || end < begin) return undefined;
  return `${text.slice(0, begin + MARKERS.start.length)}\n${replacement}\n${text.slice(end)}`;
}
