import { defineConfig } from 'vitest/config';

const conditions = ['source', 'node', 'import', 'default'];

/** Real parts: one file after the other, since each may want both processors, with time for a busy host. */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['test/real/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 30_000 } },
    fileParallelism: false,
    pool: 'forks',
  },
});
