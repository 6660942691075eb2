import { type Claim, type Server, ServerBindingKind, ServerKind } from '@sidero/core';
import { PLACED_FOR_ANNOTATION, placement } from '@sidero/plugin-placement';
import { aBinding, aServer, aServerClass, testSidero, type TestSidero } from '@sidero/testing';
import { afterEach, expect, test } from 'vitest';
import { Placement } from '../../plugins/placement/src/placement.ts';

const ZONE = 'topology.kubernetes.io/zone';
const RACK = 'example.com/rack';
const open: TestSidero[] = [];
afterEach(async () => {
  for (const sidero of open.splice(0)) await sidero.close();
});

async function start(options: Parameters<typeof placement>[0], ...servers: readonly Server[]): Promise<TestSidero> {
  const sidero = await testSidero({ objects: [aServerClass(), ...servers], plugins: [placement(options)] });
  open.push(sidero);
  return sidero;
}
const server = (name: string, labels: Record<string, string> = {}, annotations: Record<string, string> = {}): Server =>
  aServer({ metadata: { name, labels, annotations } });
const workers = { 'cluster.x-k8s.io/cluster-name': 'rack-1', 'cluster.x-k8s.io/deployment-name': 'workers' };
const controlPlane = { 'cluster.x-k8s.io/cluster-name': 'rack-1', 'cluster.x-k8s.io/control-plane': '' };
const claimOf = (name: string, labels: Record<string, string> = workers, more: Partial<Claim> = {}): Claim => ({
  namespace: 'default',
  name,
  uid: `uid-${name}`,
  serverClass: 'large',
  labels,
  ...more,
});
const take = async ({ lifecycle }: TestSidero, ...claims: readonly Claim[]) =>
  (await Promise.all(claims.map((claim) => lifecycle.allocate(claim)))).map(({ metadata }) => metadata.name);
const zonesOf = (names: readonly string[]) => names.map((name) => name.slice(0, 1)).toSorted();

const threeZones = () => ['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'c1', 'c2', 'c3'].map((name) => server(name, { [ZONE]: name[0]! }));

test('machines of one group that come at once are spread over the failure domains', async () => {
  const sidero = await start({}, ...threeZones());
  expect(zonesOf(await take(sidero, claimOf('m1'), claimOf('m2'), claimOf('m3')))).toEqual(['a', 'b', 'c']);
  expect(zonesOf(await take(sidero, claimOf('m4'), claimOf('m5'), claimOf('m6')))).toEqual(['a', 'b', 'c']);
});

test('another group of the cluster is spread for itself', async () => {
  const sidero = await start({}, ...threeZones());
  await take(sidero, claimOf('m1'));
  expect(await take(sidero, claimOf('cp1', controlPlane))).toEqual(['a2']);
});

test('a failure domain that the Machine demands is obeyed, also against the spread', async () => {
  const sidero = await start({}, ...threeZones());
  const demand = { failureDomain: 'a' };
  expect(zonesOf(await take(sidero, claimOf('m1', workers, demand), claimOf('m2', workers, demand)))).toEqual(['a', 'a']);
});

test('a group gets the server back that it had, also by the label that its ServerBinding left', async () => {
  const sidero = await start({}, server('s1'), server('s2'), server('s3', {}, { [PLACED_FOR_ANNOTATION]: 'default/rack-1/workers' }));
  expect(await take(sidero, claimOf('m1'))).toEqual(['s3']);
  expect(await take(sidero, claimOf('cp1', controlPlane))).toEqual(['s1']);
  const annotation = async () => (await sidero.resources.get(ServerKind, { name: 's1' }))?.metadata.annotations?.[PLACED_FOR_ANNOTATION];
  await expect.poll(annotation).toBe('default/rack-1/control-plane');
  await sidero.resources.remove(ServerBindingKind, { name: 's1' });
  expect(await annotation()).toBe('default/rack-1/control-plane');
});

test("a server that was the group's and is not fit is passed over", async () => {
  const placed = { [PLACED_FOR_ANNOTATION]: 'default/rack-1/workers' };
  const cordoned = aServer({ metadata: { name: 's0', annotations: placed }, spec: { cordoned: true } });
  const sidero = await start({}, cordoned, server('s1'));
  expect(await take(sidero, claimOf('m1'))).toEqual(['s1']);
});

test('of a fleet larger than what is compared, the servers that the group had are candidates all the same, if they are free', async () => {
  const placed = { [PLACED_FOR_ANNOTATION]: 'default/rack-1/workers' };
  const [first, back, elsewhere, taken, coming] = [
    server('s1'),
    server('s2', { size: 'large' }, placed),
    server('s3', {}, placed),
    server('s4', { size: 'large' }, placed),
    server('s5', { size: 'large' }, placed),
  ];
  const large = aServerClass({ spec: { selector: { matchLabels: { size: 'large' } } } });
  const objects = [large, first, back, elsewhere, taken, coming, aBinding({ metadata: { name: 's4' } })];
  await using sidero = await testSidero({ objects });
  const rules = new Placement(sidero.resources, { spread: 0, spreadBy: ZONE, sticky: 10, pack: 0, packBy: ZONE, order: 0 });
  const window = [{ server: first, score: 0, notes: [] }];
  const { candidates } = await rules.score({
    claim: claimOf('m1'),
    candidates: window,
    rejected: [],
    pending: [{ server: coming, claim: claimOf('m2') }],
  });
  expect(candidates.map(({ server: { metadata }, score }) => [metadata.name, score])).toEqual([
    ['s1', 0],
    ['s2', 10],
  ]);
});

test('packed machines fill one rack before they begin another', async () => {
  const racks = ['a1', 'b1', 'b2', 'c1'].map((name) => server(name, { [RACK]: name[0]! }));
  const sidero = await start({ spread: 0, sticky: 0, pack: 1, packBy: RACK }, ...racks);
  await sidero.resources.create(ServerBindingKind, aBinding({ metadata: { name: 'b1' } }));
  await expect.poll(async () => (await sidero.resources.get(ServerKind, { name: 'b1' }))?.status?.inUse).toBe(true);
  expect(await take(sidero, claimOf('m1'))).toEqual(['b2']);
});

test('servers are taken in the order of a label, numbers as numbers', async () => {
  const priced = [server('s1', { price: '10' }), server('s2', { price: '9' }), server('s3')];
  const sidero = await start({ orderBy: 'price' }, ...priced);
  expect([await take(sidero, claimOf('m1')), await take(sidero, claimOf('m2')), await take(sidero, claimOf('m3'))].flat()).toEqual([
    's2',
    's1',
    's3',
  ]);
});

test('what each rule gave a server is told', async () => {
  const { lifecycle } = await start({}, server('a1', { [ZONE]: 'a' }, { [PLACED_FOR_ANNOTATION]: 'default/rack-1/workers' }), server('b1'));
  const { candidates } = await lifecycle.explainAllocation(claimOf('m1'));
  expect(candidates.map(({ score, notes }) => ({ score, notes }))).toEqual([
    { score: 110, notes: ['spread +100: a has 0 of 0 of its group', 'sticky +10: its group had it before'] },
    { score: 0, notes: [`spread +0: it has no label ${ZONE}`] },
  ]);
});

test('a claim of no cluster gets the first server', async () => {
  const sidero = await start({}, server('s1'), server('s2', {}, { [PLACED_FOR_ANNOTATION]: 'default/rack-1/workers' }));
  expect(await take(sidero, claimOf('m1', {}))).toEqual(['s1']);
});
