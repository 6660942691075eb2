/** Somebody who may log in to a BMC. */
export interface BmcUser {
  readonly name: string;
  readonly password: string;
  /** Default administrator. */
  readonly privilege?: 'user' | 'operator' | 'administrator';
}

/** Who is on every simulated BMC unless a test says otherwise. */
export const BMC_USERS: readonly BmcUser[] = [
  { name: 'admin', password: 'secret' },
  { name: 'oper', password: 'operpw', privilege: 'operator' },
];

/** Name to password. */
export function passwords(users: readonly BmcUser[]): Readonly<Record<string, string>> {
  return Object.fromEntries(users.map(({ name, password }) => [name, password]));
}
