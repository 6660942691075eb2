import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as z from 'zod';
import { failure } from '../errors.ts';
import { type Lease, LeaseBook } from './lease-book.ts';

const lease = z.object({
  address: z.ipv4(),
  client: z.string(),
  mac: z.string(),
  hostname: z.string().exactOptional(),
  expiresMs: z.number(),
  state: z.enum(['bound', 'declined']),
});
const content = z.object({ version: z.literal(1), interfaces: z.record(z.string(), z.array(lease)) });

/** The leases of all interfaces in one file, replaced as a whole. */
export class LeaseFile {
  readonly #path: string;
  readonly #books: Map<string, LeaseBook>;
  #saving: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  private constructor(path: string, books: Map<string, LeaseBook>) {
    this.#path = path;
    this.#books = books;
  }

  /**
   * A missing file is an empty one.
   * @throws SIDERO_DHCP_LEASES_UNREADABLE
   */
  static async open(path: string): Promise<LeaseFile> {
    try {
      const text = await readFile(path, 'utf8');
      const { interfaces } = content.parse(JSON.parse(text));
      return new LeaseFile(path, new Map(Object.entries(interfaces).map(([name, leases]) => [name, new LeaseBook(leases)])));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return LeaseFile.empty(path);
      throw failure('SIDERO_DHCP_LEASES_UNREADABLE', { file: path, cause });
    }
  }

  static empty(path: string): LeaseFile {
    return new LeaseFile(path, new Map());
  }

  book(interfaceName: string): LeaseBook {
    const known = this.#books.get(interfaceName) ?? new LeaseBook();
    this.#books.set(interfaceName, known);
    return known;
  }

  /** Resolves once what the books hold now is on disk. Calls during a write share the next one. */
  save(): Promise<void> {
    this.#next ??= (async () => {
      await this.#saving?.catch(() => undefined);
      this.#saving = this.#next;
      this.#next = undefined;
      await this.#write();
    })();
    return this.#next;
  }

  async #write(): Promise<void> {
    const interfaces = Object.fromEntries([...this.#books].map(([name, book]) => [name, book.list().filter(isWorthKeeping)]));
    await mkdir(dirname(this.#path), { recursive: true });
    const temporary = `${this.#path}.new`;
    {
      await using file = await open(temporary, 'w', 0o644);
      await file.writeFile(`${JSON.stringify({ version: 1, interfaces }, null, 1)}\n`);
      await file.sync();
    }
    await rename(temporary, this.#path);
  }
}

// An offer is worth nothing after a restart: the client asks again.
function isWorthKeeping(given: Lease): boolean {
  return given.state !== 'offered';
}
