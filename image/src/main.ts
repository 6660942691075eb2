/** The command `sidero-image`, and `npm run build:image`. */
import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SideroError } from '@sidero/core';
import { buildImage, type BuiltImage, type ImageOptions } from './build-image.ts';
import { failure } from './errors.ts';
import { HOST } from './platform.ts';

const HELP = `sidero-image [--config FILE] [--out FILE] [--name NAME:TAG] [--agent FOLDER... | --without-agent] [--platform linux/amd64]

Makes the container image of one configuration: Debian's programs, Node, the packages that the configuration loads, and the agent.
Needs apt and dpkg, but no root, and no container engine.

  --config FILE      default: sidero.config.ts in this folder
  --out FILE         the archive; default: .sidero/image.tar. skopeo, podman, ctr, docker and umoci read it
  --name NAME:TAG    default: localhost/sidero-metal:v0.7.0, as sidero manifests --bundle has it
  --agent FOLDER     agent-amd64 or agent-arm64, with the vmlinuz and initramfs.xz of servers with that processor; may be repeated;
                     default: those in .sidero/env
  --without-agent    machines then find no agent, unless something else puts it into the data directory
  --platform NAME    linux/amd64 or linux/arm64, of the node that runs it; default: this machine's

SOURCE_DATE_EPOCH sets the time of the image. SIDERO_IMAGE_CACHE keeps packages; default: ~/.cache/sidero-image.
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string', default: 'sidero.config.ts' },
      out: { type: 'string', default: '.sidero/image.tar' },
      name: { type: 'string', default: 'localhost/sidero-metal:v0.7.0' },
      agent: { type: 'string', multiple: true },
      'without-agent': { type: 'boolean', default: false },
      platform: { type: 'string', default: `linux/${HOST.architecture}` },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return void process.stdout.write(HELP);
  const agents = values['without-agent'] ? [] : (values.agent ?? (await builtAgents()));
  const options: ImageOptions = {
    config: resolve(values.config),
    out: resolve(values.out),
    name: values.name,
    platform: values.platform,
    agents: agents.map((folder) => resolve(folder)),
    cache: process.env['SIDERO_IMAGE_CACHE'] ?? join(homedir(), '.cache/sidero-image'),
    created: new Date(Number(process.env['SOURCE_DATE_EPOCH'] ?? 0) * 1000).toISOString(),
  };
  process.stdout.write(report(options, await buildImage(options)));
}

/** Where `npm run build:agent` writes to. @throws SIDERO_IMAGE_AGENT_MISSING */
async function builtAgents(): Promise<readonly string[]> {
  const folder = resolve('.sidero/env');
  const found = (await readdir(folder).catch(() => [])).filter((name) => /^agent-(amd64|arm64)$/.test(name)).sort();
  if (found.length === 0) throw failure('SIDERO_IMAGE_AGENT_MISSING', { folder });
  return found.map((name) => join(folder, name));
}

function report({ out, name }: ImageOptions, { digest, layers }: BuiltImage): string {
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`.padStart(9);
  const lines = layers.map(({ title, sizeBytes, digest: layer }) => `  ${megabytes(sizeBytes)}  ${layer.slice(0, 19)}  ${title}`);
  return `${out}\n  ${name}@${digest}\n${lines.join('\n')}\n`;
}

try {
  await main();
} catch (thrown) {
  process.stderr.write(`sidero-image: ${thrown instanceof SideroError ? thrown.toText() : String((thrown as Error).stack ?? thrown)}\n`);
  process.exitCode = 1;
}
