import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { type Header, type Pack, pack } from 'tar-stream';
import type { Layer } from './pack-layer.ts';

const TYPES = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

/** What a container starts with, unless whoever starts it says something else. */
export interface RunConfig {
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly Env: readonly string[];
  readonly WorkingDir: string;
  readonly Labels: Readonly<Record<string, string>>;
}

/** An image, but for its bytes. */
export interface ImageDescription {
  /** "localhost/sidero-metal:v0.7.0" */
  readonly name: string;
  /** As OCI has it: "amd64". */
  readonly architecture: string;
  /** ISO 8601. */
  readonly created: string;
  readonly run: RunConfig;
  /** Lowest first. */
  readonly layers: readonly Layer[];
}

/** The rest has defaults. */
type GivenHeader = Partial<Header> & Pick<Header, 'name'>;

interface Json {
  readonly digest: string;
  readonly bytes: Buffer;
}

/**
 * Writes an OCI image layout as one tar, which skopeo, podman, ctr and umoci read, with the index that `docker load` wants beside it. Gives the digest of the
 * manifest, which is what a registry will call the image.
 */
export async function writeImageArchive(image: ImageDescription, out: string): Promise<string> {
  const config = json(configOf(image));
  const manifest = json({
    schemaVersion: 2,
    mediaType: TYPES.manifest,
    config: { mediaType: TYPES.config, digest: config.digest, size: config.bytes.length },
    layers: image.layers.map(({ digest, sizeBytes }) => ({ mediaType: TYPES.layer, digest, size: sizeBytes })),
  });
  const tar = pack();
  const work = `${out}.${process.pid}`;
  const written = pipeline(tar, createWriteStream(work));
  try {
    await Promise.all([addAll(tar, { image, config, manifest }), written]);
    await rename(work, out);
  } finally {
    await rm(work, { force: true });
  }
  return manifest.digest;
}

function configOf({ architecture, created, run, layers }: ImageDescription): object {
  return {
    created,
    architecture,
    os: 'linux',
    config: run,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ title }) => ({ created, created_by: `sidero-image: ${title}` })),
  };
}

/** By what names the image is found in the archive. */
function indexOf({ name, architecture }: ImageDescription, manifest: Json): object {
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tagOf(name) };
  const descriptor = { mediaType: TYPES.manifest, digest: manifest.digest, size: manifest.bytes.length };
  return { schemaVersion: 2, manifests: [{ ...descriptor, platform: { architecture, os: 'linux' }, annotations }] };
}

function tagOf(name: string): string {
  return /:([\w.-]+)$/.exec(name)?.[1] ?? 'latest';
}

async function addAll(tar: Pack, given: { readonly image: ImageDescription; readonly config: Json; readonly manifest: Json }): Promise<void> {
  const { image, config, manifest } = given;
  const docker = { Config: pathOf(config.digest), RepoTags: [image.name], Layers: image.layers.map(({ digest }) => pathOf(digest)) };
  const texts: readonly (readonly [name: string, bytes: Buffer])[] = [
    ['oci-layout', json({ imageLayoutVersion: '1.0.0' }).bytes],
    ['index.json', json(indexOf(image, manifest)).bytes],
    ['manifest.json', json([docker]).bytes],
    [pathOf(config.digest), config.bytes],
    [pathOf(manifest.digest), manifest.bytes],
  ];
  try {
    for (const [name, bytes] of texts) await add(tar, headersOf(name, bytes.length), bytes);
    // Two layers of the same bytes are one blob.
    const blobs = new Map(image.layers.map((layer) => [layer.digest, layer]));
    for (const { digest, sizeBytes, file } of blobs.values()) await add(tar, headersOf(pathOf(digest), sizeBytes), file);
    tar.finalize();
  } catch (thrown) {
    tar.destroy(thrown as Error);
    throw thrown;
  }
}

function headersOf(name: string, size: number): GivenHeader {
  return { name, size, type: 'file', mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 };
}

/** Bytes, or a file that has them. */
async function add(tar: Pack, headers: GivenHeader, content: Buffer | string): Promise<void> {
  if (typeof content !== 'string') {
    await new Promise<void>((resolve, reject) => tar.entry(headers, content, (error) => (error ? reject(error) : resolve())));
    return;
  }
  await pipeline(createReadStream(content), tar.entry(headers));
}

function pathOf(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function json(value: unknown): Json {
  const bytes = Buffer.from(JSON.stringify(value));
  return { bytes, digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}` };
}
