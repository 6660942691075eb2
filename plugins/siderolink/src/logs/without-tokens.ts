/** What a machine proves itself with: 43 characters of base64url in `jointoken=` and in the `token=` of its configuration's URL. */
const TOKEN = /(token=)[\w-]{43}(?![\w-])/g;

/** A line without the proofs that we put on a machine's kernel command line: its kernel logs that whole. */
export function withoutTokens(line: string): string {
  return line.includes('token=') ? line.replaceAll(TOKEN, '$1***') : line;
}
