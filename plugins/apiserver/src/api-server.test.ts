import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CoreV1Api, CustomObjectsApi } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { call, type TestApi, testApi, widgets } from './api.fixture.ts';
import { startApiServer } from './api-server.ts';

const WIDGETS = '/apis/example.dev/v1/widgets';
const OLD_WIDGETS = '/apis/example.dev/v1alpha1/widgets';
const MERGE = 'application/merge-patch+json';

let api: TestApi;
let count = 0;
/** A name no other test uses. */
const fresh = () => `w${(count += 1)}`;
const widget = (name: string, spec: object = { colour: 'red' }, metadata: object = {}) => ({
  apiVersion: 'example.dev/v1',
  kind: 'Widget',
  metadata: { name, ...metadata },
  spec,
});
const create = async (name = fresh(), spec?: object, metadata?: object) => {
  const reply = await api.call('POST', WIDGETS, { body: widget(name, spec, metadata) });
  expect(reply.code, reply.text).toBe(201);
  return { name, path: `${WIDGETS}/${name}`, object: reply.body as { metadata: { uid: string; resourceVersion: string; generation: number } } };
};
const until = async (check: () => Promise<boolean>) => {
  while (!(await check())) await new Promise((resolve) => setImmediate(resolve));
};

beforeAll(async () => {
  api = await testApi();
});
afterAll(() => api[Symbol.asyncDispose]());

describe('writing', () => {
  test('a new object gets uid, generation, resourceVersion, defaults, and loses its status', async () => {
    const { body } = await api.call('POST', WIDGETS, { body: { ...widget(fresh()), status: { ready: true } } });
    expect(body).toMatchObject({
      metadata: { generation: 1, uid: expect.any(String), resourceVersion: expect.any(String) },
      spec: { colour: 'red', weight: 5 },
    });
    expect(body).not.toHaveProperty('status');
  });

  test('a Node registers with its status', async () => {
    const { body } = await api.call('POST', '/api/v1/nodes', {
      body: { metadata: { name: 'n1' }, status: { conditions: [{ type: 'Ready', status: 'True' }] } },
    });
    expect(body['status']).toEqual({ conditions: [{ type: 'Ready', status: 'True' }] });
  });

  test('a second object of the same name is AlreadyExists', async () => {
    const { name } = await create();
    const reply = await api.call('POST', WIDGETS, { body: widget(name) });
    expect(reply).toMatchObject({ code: 409, body: { reason: 'AlreadyExists', message: `widgets.example.dev "${name}" already exists` } });
  });

  test('generateName is completed by the server', async () => {
    const { body } = await api.call('POST', WIDGETS, { body: { ...widget(''), metadata: { generateName: 'gen-' } } });
    expect(body.metadata?.['name']).toMatch(/^gen-[a-z0-9]{5}$/);
  });

  test('an update with an old resourceVersion is a Conflict', async () => {
    const { name, path, object } = await create();
    await api.call('PATCH', path, { type: MERGE, body: { spec: { size: 1 } } });
    const reply = await api.call('PUT', path, { body: { ...widget(name), metadata: object.metadata } });
    expect(reply).toMatchObject({ code: 409, body: { reason: 'Conflict', message: expect.stringContaining('the object has been modified') } });
  });

  test('a change of spec raises the generation, one of labels or status does not', async () => {
    const { path } = await create();
    const generation = async (body: object, sub = '') => (await api.call('PATCH', path + sub, { type: MERGE, body })).body.metadata?.['generation'];
    expect(await generation({ metadata: { labels: { a: 'b' } } })).toBe(1);
    expect(await generation({ status: { ready: true } }, '/status')).toBe(1);
    expect(await generation({ spec: { size: 2 } })).toBe(2);
  });

  test('a write that changes nothing keeps the resourceVersion', async () => {
    const { path, object } = await create();
    const { body } = await api.call('PATCH', path, { type: MERGE, body: { spec: { colour: 'red' } } });
    expect(body.metadata?.['resourceVersion']).toBe(object.metadata.resourceVersion);
  });

  test('/status changes only the status, the object itself only the rest', async () => {
    const { path } = await create();
    await api.call('PATCH', `${path}/status`, {
      type: MERGE,
      body: { metadata: { labels: { a: 'b' } }, spec: { colour: 'blue' }, status: { ready: true } },
    });
    const { body } = await api.call('PATCH', path, { type: MERGE, body: { spec: { size: 3 }, status: { ready: false } } });
    expect(body).toMatchObject({ spec: { colour: 'red', size: 3 }, status: { ready: true } });
    expect(body.metadata).not.toHaveProperty('labels');
  });

  test('dryRun answers as if, and keeps nothing', async () => {
    const name = fresh();
    expect((await api.call('POST', `${WIDGETS}?dryRun=All`, { body: widget(name) })).code).toBe(201);
    expect((await api.call('GET', `${WIDGETS}/${name}`)).code).toBe(404);
  });

  test('unknown fields are pruned with a warning, refused when strict, silent when ignored', async () => {
    const body = widget(fresh(), { colour: 'red', colr: 1, anything: { goes: true } });
    const strict = await api.call('POST', `${WIDGETS}?fieldValidation=Strict`, { body });
    expect(strict).toMatchObject({
      code: 400,
      body: { message: 'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.colr"' },
    });
    const ignored = await api.call('POST', `${WIDGETS}?fieldValidation=Ignore&dryRun=All`, { body });
    expect(ignored.headers['warning']).toBeUndefined();
    const warned = await api.call('POST', WIDGETS, { body });
    expect(warned.headers['warning']).toContain('unknown field');
    expect(warned.body['spec']).toEqual({ colour: 'red', weight: 5, anything: { goes: true } });
  });

  test('a value against the schema is Invalid with a cause for each field', async () => {
    const { code, body } = await api.call('POST', WIDGETS, { body: widget(fresh(), { size: 'big' }) });
    expect(code).toBe(422);
    expect((body['details'] as { causes: object[] }).causes).toEqual([
      {
        reason: 'FieldValueTypeInvalid',
        message: 'Invalid value: "string": spec.size in body must be of type integer: "string"',
        field: 'spec.size',
      },
      { reason: 'FieldValueRequired', message: 'Required value', field: 'spec.colour' },
    ]);
  });

  test('the validator of a kind is asked on create and update, not for status', async () => {
    const refused = await api.call('POST', WIDGETS, { body: widget('pinky', { colour: 'pink' }) });
    const denial =
      'admission webhook "vwidgets.example.dev" denied the request: Widget.example.dev "pinky" is invalid: spec.colour: Invalid value: "pink": valid values are: all but pink';
    expect(refused).toMatchObject({ code: 422, body: { reason: 'Invalid', message: denial } });
    const { path } = await create();
    expect((await api.call('PATCH', path, { type: MERGE, body: { spec: { colour: 'pink' } } })).code).toBe(422);
    expect((await api.call('PATCH', `${path}/status`, { type: MERGE, body: { spec: { colour: 'pink' }, status: { ready: true } } })).code).toBe(200);
  });

  test('an object written in one version reads converted in the other', async () => {
    const name = fresh();
    await api.call('POST', OLD_WIDGETS, { body: { ...widget(name, { colour: 'red', length: 7 }), apiVersion: 'example.dev/v1alpha1' } });
    expect((await api.call('GET', `${WIDGETS}/${name}`)).body).toMatchObject({ apiVersion: 'example.dev/v1', spec: { size: 7 } });
    expect((await api.call('GET', OLD_WIDGETS)).body.items).toContainEqual(
      expect.objectContaining({ spec: { colour: 'red', length: 7, weight: 5 } }),
    );
  });

  test('a converter that throws is an InternalError, not a crash', async () => {
    const { code, body } = await api.call('POST', OLD_WIDGETS, {
      body: { ...widget(fresh(), { colour: 'broken' }), apiVersion: 'example.dev/v1alpha1' },
    });
    expect([code, body.message]).toEqual([500, expect.stringContaining('no such colour')]);
  });

  test('a strategic merge patch of a custom resource is 415', async () => {
    const { path } = await create();
    expect((await api.call('PATCH', path, { type: 'application/strategic-merge-patch+json', body: {} })).code).toBe(415);
  });

  test('an object in a namespace that is not there is NotFound for the namespace', async () => {
    const { code, body } = await api.call('POST', '/api/v1/namespaces/nowhere/secrets', { body: { metadata: { name: 's' } } });
    expect([code, body.message]).toEqual([404, 'namespaces "nowhere" not found']);
  });
});

describe('server-side apply', () => {
  const applied = (path: string, manager: string, body: object) =>
    api.call('PATCH', `${path}?fieldManager=${manager}`, { type: 'application/apply-patch+yaml', body });

  test('makes the object, then removes what its manager no longer names and keeps what others apply', async () => {
    const name = fresh();
    const path = `${WIDGETS}/${name}`;
    expect((await applied(path, 'one', widget(name, { colour: 'red', parts: [{ name: 'a' }, { name: 'b' }] }))).code).toBe(201);
    expect((await applied(path, 'two', widget(name, { parts: [{ name: 'b', count: 2 }, { name: 'c' }] }))).code).toBe(200);
    const { body } = await applied(path, 'one', widget(name, { colour: 'red' }));
    expect(body['spec']).toEqual({ colour: 'red', weight: 5, parts: [{ name: 'b', count: 2 }, { name: 'c' }] });
  });

  test('another applier with a different value is a conflict unless forced', async () => {
    const name = fresh();
    const path = `${WIDGETS}/${name}`;
    await applied(path, 'one', widget(name));
    expect(await applied(path, 'two', widget(name, { colour: 'blue' }))).toMatchObject({
      code: 409,
      body: { message: 'Apply failed with 1 conflict: conflict with "one": .spec.colour' },
    });
    expect((await applied(path, 'two&force=true', widget(name, { colour: 'blue' }))).body).toMatchObject({ spec: { colour: 'blue' } });
  });

  test('applying the same again changes nothing', async () => {
    const name = fresh();
    const first = await applied(`${WIDGETS}/${name}`, 'one', widget(name));
    const second = await applied(`${WIDGETS}/${name}`, 'one', widget(name));
    expect(second.body.metadata).toEqual(first.body.metadata);
  });
});

describe('deleting', () => {
  test('an object with a finalizer stays, marked, until the last finalizer goes', async () => {
    const { path } = await create(fresh(), undefined, { finalizers: ['example.dev/hold'] });
    expect((await api.call('DELETE', path)).body.metadata).toMatchObject({ deletionTimestamp: expect.any(String), generation: 2 });
    const more = await api.call('PATCH', path, { type: MERGE, body: { metadata: { finalizers: ['example.dev/hold', 'example.dev/new'] } } });
    expect(more).toMatchObject({
      code: 422,
      body: { message: expect.stringContaining('no new finalizers can be added if the object is being deleted') },
    });
    await api.call('PATCH', path, { type: MERGE, body: { metadata: { finalizers: null } } });
    expect((await api.call('GET', path)).code).toBe(404);
  });

  test('preconditions are kept', async () => {
    const { path, object } = await create();
    expect((await api.call('DELETE', path, { body: { preconditions: { uid: 'other' } } })).code).toBe(409);
    expect((await api.call('DELETE', path, { body: { preconditions: { uid: object.metadata.uid } } })).code).toBe(200);
  });

  test('deletecollection takes what the selector names', async () => {
    const kept = await create(fresh(), undefined, { labels: { batch: 'no' } });
    const gone = await create(fresh(), undefined, { labels: { batch: 'yes' } });
    await api.call('DELETE', `${WIDGETS}?labelSelector=batch%3Dyes`);
    expect((await api.call('GET', gone.path)).code).toBe(404);
    expect((await api.call('GET', kept.path)).code).toBe(200);
  });

  const ownedBy = (owner: Awaited<ReturnType<typeof create>>, more: object = {}) =>
    create(fresh(), undefined, {
      ownerReferences: [{ apiVersion: 'example.dev/v1', kind: 'Widget', name: owner.name, uid: owner.object.metadata.uid, ...more }],
    });
  const isGone = (path: string) => async () => (await api.call('GET', path)).code === 404;

  test('dependents go after their owner', async () => {
    const owner = await create();
    const dependent = await ownedBy(owner);
    await api.call('DELETE', owner.path);
    await until(isGone(dependent.path));
  });

  test('in the foreground the owner waits for the dependents that block it', async () => {
    const owner = await create();
    const dependent = await ownedBy(owner, { blockOwnerDeletion: true });
    await api.call('PATCH', dependent.path, { type: MERGE, body: { metadata: { finalizers: ['example.dev/hold'] } } });
    await api.call('DELETE', owner.path, { body: { propagationPolicy: 'Foreground' } });
    await until(async () => (await api.call('GET', dependent.path)).body.metadata?.['deletionTimestamp'] !== undefined);
    expect((await api.call('GET', owner.path)).body.metadata?.['finalizers']).toEqual(['foregroundDeletion']);
    await api.call('PATCH', dependent.path, { type: MERGE, body: { metadata: { finalizers: null } } });
    await until(isGone(owner.path));
  });

  test('orphaned dependents stay and lose the reference', async () => {
    const owner = await create();
    const dependent = await ownedBy(owner);
    await api.call('DELETE', owner.path, { body: { propagationPolicy: 'Orphan' } });
    await until(isGone(owner.path));
    expect((await api.call('GET', dependent.path)).body.metadata).not.toHaveProperty('ownerReferences');
  });

  test('a deleted namespace takes its content with it, and takes nothing new meanwhile', async () => {
    await api.call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'leaving' } } });
    const secret = { metadata: { name: 's', finalizers: ['example.dev/hold'] } };
    await api.call('POST', '/api/v1/namespaces/leaving/secrets', { body: secret });
    expect((await api.call('DELETE', '/api/v1/namespaces/leaving')).body['status']).toEqual({ phase: 'Terminating' });
    expect((await api.call('POST', '/api/v1/namespaces/leaving/secrets', { body: { metadata: { name: 't' } } })).code).toBe(403);
    await api.call('PATCH', '/api/v1/namespaces/leaving/secrets/s', { type: MERGE, body: { metadata: { finalizers: null } } });
    await until(isGone('/api/v1/namespaces/leaving'));
    expect((await api.call('GET', '/api/v1/namespaces/leaving/secrets/s')).code).toBe(404);
  });
});

describe('listing', () => {
  test('pages go on where the last one ended', async () => {
    const names = (await Promise.all([1, 2, 3].map(() => create(fresh(), undefined, { labels: { page: 'x' } })))).map(({ name }) => name).toSorted();
    const first = await api.call('GET', `${WIDGETS}?labelSelector=page%3Dx&limit=2`);
    const next = await api.call('GET', `${WIDGETS}?labelSelector=page%3Dx&limit=2&continue=${String(first.body.metadata?.['continue'])}`);
    expect([...first.body.items!, ...next.body.items!].map(({ metadata }) => (metadata as { name: string }).name)).toEqual(names);
    expect(next.body.metadata).not.toHaveProperty('continue');
  });

  test('a token nobody made is refused', async () => {
    expect((await api.call('GET', `${WIDGETS}?limit=1&continue=bm90aGluZw`)).code).toBe(400);
  });

  test('events are selected by the object they are about', async () => {
    const event = (name: string) => ({
      metadata: { generateName: 'e-' },
      involvedObject: { kind: 'Widget', name, namespace: 'default' },
      reason: 'Tested',
    });
    for (const name of ['x', 'y']) await api.call('POST', '/api/v1/namespaces/default/events', { body: event(name) });
    const { body } = await api.call('GET', '/api/v1/events?fieldSelector=involvedObject.name%3Dx,involvedObject.kind%3DWidget');
    expect(body.items).toHaveLength(1);
  });

  test('a field that cannot be selected by is named', async () => {
    expect((await api.call('GET', `${WIDGETS}?fieldSelector=spec.colour%3Dred`)).body.message).toBe('field label not supported: spec.colour');
  });

  test('a table holds the columns of the definition, filters and escaped keys included', async () => {
    const { name, path } = await create(fresh(), undefined, { labels: { 'example.dev/cluster': 'c1' } });
    await api.call('PATCH', `${path}/status`, {
      type: MERGE,
      body: {
        status: {
          conditions: [
            { type: 'Other', status: 'x' },
            { type: 'Ready', status: 'True' },
          ],
        },
      },
    });
    const { body } = await api.call('GET', path, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' });
    expect((body['rows'] as { cells: unknown[] }[])[0]?.cells).toEqual([name, 'red', 'True', 'c1']);
  });
});

describe('watching', () => {
  test('tells what changes, and DELETED when an object leaves the selector', async () => {
    const { body } = await api.call('GET', WIDGETS);
    const watch = await api.watch(`${WIDGETS}?watch=1&labelSelector=seen%3Dyes&resourceVersion=${String(body.metadata?.['resourceVersion'])}`);
    const { name, path } = await create(fresh(), undefined, { labels: { seen: 'yes' } });
    await api.call('PATCH', path, { type: MERGE, body: { spec: { size: 1 } } });
    await api.call('PATCH', path, { type: MERGE, body: { metadata: { labels: { seen: 'no' } } } });
    const events = [await watch.next(), await watch.next(), await watch.next()];
    expect(events.map(({ type, object }) => [type, object.metadata['name']])).toEqual([
      ['ADDED', name],
      ['MODIFIED', name],
      ['DELETED', name],
    ]);
    watch.stop();
  });

  test('goes on from an old revision with what happened since', async () => {
    const { object, path, name } = await create();
    await api.call('PATCH', path, { type: MERGE, body: { spec: { size: 1 } } });
    await api.call('DELETE', path);
    const watch = await api.watch(`${WIDGETS}?watch=1&fieldSelector=metadata.name%3D${name}&resourceVersion=${object.metadata.resourceVersion}`);
    expect([(await watch.next()).type, (await watch.next()).type]).toEqual(['MODIFIED', 'DELETED']);
    watch.stop();
  });

  test('sends the objects there are and a bookmark that says so', async () => {
    const { name } = await create();
    const watch = await api.watch(
      `${WIDGETS}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name%3D${name}`,
    );
    expect(await watch.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name } } });
    expect(await watch.next()).toMatchObject({
      type: 'BOOKMARK',
      object: { kind: 'Widget', metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    });
    watch.stop();
  });

  test('ends after timeoutSeconds', async () => {
    const watch = await api.watch(`${WIDGETS}?watch=1&timeoutSeconds=1`);
    await watch.ended;
  });

  test('a revision that is no longer known is an ERROR event with 410', async () => {
    await using small = await testApi({ historySize: 10 });
    const { body } = await small.call('GET', WIDGETS);
    for (let size = 0; size < 30; size++) await small.call('POST', WIDGETS, { body: widget(`x${size}`) });
    const watch = await small.watch(`${WIDGETS}?watch=1&resourceVersion=${String(body.metadata?.['resourceVersion'])}`);
    expect(await watch.next()).toMatchObject({ type: 'ERROR', object: { code: 410, reason: 'Expired' } });
    await watch.ended;
  });
});

describe('definitions of users', () => {
  const gadgets = { ...widgets().definition, metadata: { name: 'gadgets.example.dev' } };
  const definition = {
    ...gadgets,
    spec: { ...gadgets.spec, names: { kind: 'Gadget', plural: 'gadgets' }, versions: gadgets.spec.versions.slice(1) },
  };

  test('are served once created, and take their objects with them', async () => {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    const { body } = await api.call('POST', path, { body: definition });
    expect((body['status'] as { conditions: object[] }).conditions).toContainEqual(expect.objectContaining({ type: 'Established', status: 'True' }));
    expect((await api.call('POST', '/apis/example.dev/v1/gadgets', { body: { metadata: { name: 'g' }, spec: { colour: 'red' } } })).code).toBe(201);
    await api.call('DELETE', `${path}/gadgets.example.dev`);
    await until(async () => (await api.call('GET', '/apis/example.dev/v1/gadgets')).code === 404);
  });

  test('those of plugins cannot be deleted', async () => {
    expect((await api.call('DELETE', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.dev')).code).toBe(403);
  });
});

describe('the border', () => {
  test('no token is 403, a wrong one 401, health needs none', async () => {
    expect((await api.call('GET', WIDGETS, { headers: { Authorization: '' } })).code).toBe(403);
    expect((await api.call('GET', WIDGETS, { headers: { Authorization: 'Bearer wrong' } })).code).toBe(401);
    expect((await api.call('GET', '/healthz', { headers: { Authorization: '' } })).code).toBe(200);
  });

  test('a body over 3 MiB is 413', async () => {
    const { code, body } = await api.call('POST', WIDGETS, { body: 'x'.repeat(3 * 1024 * 1024 + 1) });
    expect([code, body.reason]).toEqual([413, 'RequestEntityTooLarge']);
  });

  test.each([
    ['POST', WIDGETS, '{', 'application/json', 400],
    ['POST', WIDGETS, '[]', 'application/json', 400],
    ['POST', WIDGETS, 'null', 'application/json', 400],
    ['POST', WIDGETS, 'k8s\0zzzz', 'application/vnd.kubernetes.protobuf', 400],
    ['POST', WIDGETS, '{a: [', 'application/yaml', 400],
    ['POST', WIDGETS, '<x/>', 'application/xml', 415],
    ['POST', WIDGETS, '{"kind":"Other"}', 'application/json', 400],
    ['POST', WIDGETS, '{"metadata":[]}', 'application/json', 400],
    ['POST', WIDGETS, '{"metadata":{"name":"a","labels":{"x":1}}}', 'application/json', 400],
    ['POST', WIDGETS, '{"metadata":{"name":"A_"},"spec":{"colour":"c"}}', 'application/json', 422],
    ['POST', `${WIDGETS}/name`, '{}', 'application/json', 405],
    ['GET', `${WIDGETS}/%zz`, undefined, '', 400],
    ['GET', `${WIDGETS}/a/b/c/d`, undefined, '', 404],
    ['GET', `${WIDGETS}?limit=x`, undefined, '', 400],
    ['GET', `${WIDGETS}?labelSelector=a%3D%3D%3Db`, undefined, '', 400],
    ['GET', `${WIDGETS}?resourceVersion=999999999`, undefined, '', 504],
    ['GET', '/apis/example.dev/v9/widgets', undefined, '', 404],
    ['PATCH', `${WIDGETS}/nope`, '{}', MERGE, 404],
    ['DELETE', `${WIDGETS}/nope`, '{"propagationPolicy":"Sometimes"}', 'application/json', 400],
  ])('%s %s with %s answers a Status', async (...given) => {
    const [method, path, body, type, code] = given;
    const reply = await api.call(method, path, body === undefined ? {} : { body, type });
    expect([reply.code, reply.body['kind']]).toEqual([code, 'Status']);
  });

  test('a key named __proto__ changes no prototype', async () => {
    const body = `{"metadata":{"name":"${fresh()}"},"spec":{"colour":"red","anything":{"__proto__":{"polluted":true}}}}`;
    expect((await api.call('POST', WIDGETS, { body })).body['spec']).toEqual({ colour: 'red', weight: 5, anything: {} });
    expect({}).not.toHaveProperty('polluted');
  });

  test('bytes that are no TLS end their connection and nothing else', async () => {
    const { port } = new URL(api.server.url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => {});
    socket.end('GET / HTTP/1.1\r\n\r\n');
    await once(socket, 'close');
    expect((await api.call('GET', '/readyz')).code).toBe(200);
  });
});

test('closing ends open watches and idle connections at once', async () => {
  const closing = await testApi();
  const watch = await closing.watch(`${WIDGETS}?watch=1`);
  // What would be cut after a while is not cut here.
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  try {
    await closing.server.close();
    await watch.ended;
  } finally {
    vi.useRealTimers();
  }
});

describe('@kubernetes/client-node', () => {
  test('works with the KubeConfig of the server', async () => {
    const core = api.server.kubeConfig.makeApiClient(CoreV1Api);
    await core.createNamespacedSecret({ namespace: 'default', body: { metadata: { name: 'sec' }, stringData: { a: 'b' } } });
    expect((await core.readNamespacedSecret({ namespace: 'default', name: 'sec' })).data).toEqual({ a: 'Yg==' });
    const custom = api.server.kubeConfig.makeApiClient(CustomObjectsApi);
    await expect(custom.getClusterCustomObject({ group: 'example.dev', version: 'v1', plural: 'widgets', name: 'nope' })).rejects.toMatchObject({
      code: 404,
    });
  });
});

describe('on disk', () => {
  let dataDir: string;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'apiserver-'));
  });
  afterAll(() => rm(dataDir, { recursive: true, force: true }));

  test('a restart keeps objects, revision, port and kubeconfig', async () => {
    const first = await testApi({ dataDir });
    await first.call('POST', WIDGETS, { body: widget('kept') });
    const system = (await first.call('GET', '/api/v1/namespaces/kube-system')).body.metadata?.['uid'];
    const kubeconfig = await readFile(join(dataDir, 'kubeconfig'), 'utf8');
    await first.server.close();
    await using second = await testApi({ dataDir });
    expect(await readFile(join(dataDir, 'kubeconfig'), 'utf8')).toBe(kubeconfig);
    expect((await second.call('GET', `${WIDGETS}/kept`)).code).toBe(200);
    const definition = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.dev';
    expect((await second.call('GET', definition)).body.metadata).toMatchObject({ generation: 1 });
    expect((await second.call('GET', '/api/v1/namespaces/kube-system')).body.metadata?.['uid']).toBe(system);
    expect((await stat(join(dataDir, 'kubeconfig'))).mode & 0o777).toBe(0o600);
  });

  test('a second server on the same directory is refused by name', async () => {
    await using first = await testApi({ dataDir });
    expect(first.server.url).toBeTruthy();
    await expect(startApiServer({ dataDir, customResources: [] })).rejects.toMatchObject({
      code: 'SIDERO_APISERVER_DATA_IN_USE',
      details: { directory: join(dataDir, 'api') },
    });
  });

  test('every acknowledged write survives kill -9', { timeout: 60_000 }, async () => {
    const killed = await mkdtemp(join(tmpdir(), 'apiserver-kill-'));
    const script = `
      import { startApiServer } from ${JSON.stringify(new URL('./api-server.ts', import.meta.url).href)};
      import { widgets } from ${JSON.stringify(new URL('./api.fixture.ts', import.meta.url).href)};
      const server = await startApiServer({ dataDir: ${JSON.stringify(killed)}, customResources: [widgets()] });
      process.send({ url: server.url, token: server.token, caPem: server.caPem });`;
    const child = spawn(process.execPath, ['--conditions=source', '--input-type=module-typescript', '-e', script], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const exited = once(child, 'exit');
    const [server] = (await Promise.race([once(child, 'message'), exited.then(() => Promise.reject(new Error('the child ended')))])) as [
      TestApi['server'],
    ];
    const acknowledged: string[] = [];
    const writers = Array.from({ length: 8 }, async (_unused, writer) => {
      for (let at = 0; ; at++) {
        const name = `k${writer}-${at}`;
        const reply = await call(server, { method: 'POST', path: WIDGETS, body: widget(name) }).catch(() => undefined);
        if (reply?.code !== 201) return;
        acknowledged.push(name);
        if (acknowledged.length === 100) child.kill('SIGKILL');
      }
    });
    await Promise.all(writers);
    await exited;
    await using again = await testApi({ dataDir: killed });
    const { body } = await again.call('GET', WIDGETS);
    const names = new Set(body.items!.map(({ metadata }) => (metadata as { name: string }).name));
    expect(acknowledged.filter((name) => !names.has(name))).toEqual([]);
    await rm(killed, { recursive: true, force: true });
  });
});
