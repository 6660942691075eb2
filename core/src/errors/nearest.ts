/** Names that are told at most. */
const MOST = 3;
/** From here on, letters at the beginning are taken for an abbreviation. */
const SHORTEST_BEGINNING = 3;

/** Which of the names somebody may have meant who wrote `word`, the likeliest first; three at most. */
export function nearest(word: string, names: Iterable<string>): readonly string[] {
  const most = Math.max(1, Math.floor(word.length / 4));
  const found = [...names].map((name) => ({ name, slips: slipsBetween(word.toLowerCase(), name.toLowerCase()) }));
  return found
    .filter(({ slips }) => slips <= most)
    .sort((a, b) => a.slips - b.slips)
    .slice(0, MOST)
    .map(({ name }) => name);
}

/** `perhaps "units" is meant`; empty when nothing is near. */
export function isMeant(word: string, names: Iterable<string>): string {
  const near = nearest(word, names);
  return near.length === 0 ? '' : `perhaps ${near.map((name) => `"${name}"`).join(' or ')} is meant`;
}

/** `there is no such key; perhaps "units" is meant`. */
export function noSuch(kind: string, word: string, names: Iterable<string>): string {
  return [`there is no such ${kind}`, isMeant(word, names)].filter(Boolean).join('; ');
}

// Letters that are wrong, too many, too few, or have changed places with their neighbour; none when `word` is how the name begins.
function slipsBetween(word: string, name: string): number {
  if (word.length >= SHORTEST_BEGINNING && name.startsWith(word)) return 0;
  let [before, row] = [[] as number[], Array.from({ length: name.length + 1 }, (_, column) => column)];
  for (let at = 1; at <= word.length; at++) {
    const next = [at];
    for (let column = 1; column <= name.length; column++) {
      const same = word[at - 1] === name[column - 1];
      const swapped = word[at - 1] === name[column - 2] && word[at - 2] === name[column - 1];
      const costs = [row[column]! + 1, next[column - 1]! + 1, row[column - 1]! + (same ? 0 : 1)];
      next.push(Math.min(...costs, ...(swapped ? [before[column - 2]! + 1] : [])));
    }
    [before, row] = [row, next];
  }
  return row[name.length]!;
}
