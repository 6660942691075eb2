/**
 * A hardware address of 6, 8 or 20 bytes in lower case with colons; undefined for anything else. Takes what Go's parser takes: bytes
 * between `:` or `-`, groups of four digits between `.`, or digits alone.
 */
export function parseMac(text: string): string | undefined {
  const isMac = /^[\da-f]{2}([:-])[\da-f]{2}(\1[\da-f]{2})*$/i.test(text) || /^[\da-f]{4}(\.[\da-f]{4})+$/i.test(text) || /^[\da-f]+$/i.test(text);
  const digits = text.replace(/[^\da-f]/gi, '').toLowerCase();
  if (!isMac || ![12, 16, 40].includes(digits.length)) return undefined;
  return digits.match(/../g)!.join(':');
}
