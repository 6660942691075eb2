import { describe, expect, test } from 'vitest';
import {
  ADOPT_ANNOTATION,
  adoptionOf,
  FENCE_ANNOTATION,
  REQUEST_ANNOTATION,
  SERVER_FINALIZER,
  type Server,
  type ServerBinding,
} from '../../index.ts';
import { keepBooks, type Ledger } from './books.ts';

const now = new Date('2026-11-22T12:00:00Z');
const aServer = (more: Partial<Server> = {}): Server =>
  ({
    apiVersion: 'metal.sidero.dev/v1alpha2',
    kind: 'Server',
    metadata: { name: 'x', finalizers: [SERVER_FINALIZER] },
    spec: { accepted: true },
    status: { isClean: true },
    ...more,
  }) as Server;
const binding = (installed: boolean): ServerBinding =>
  ({
    metadata: { name: 'x' },
    status: { conditions: installed ? [{ type: 'TalosInstalled', status: 'True', lastTransitionTime: now.toISOString() }] : [] },
  }) as ServerBinding;
const kept = (server: Server, bound?: ServerBinding, more: Partial<Ledger> = {}): Server => {
  keepBooks(server, { binding: bound, now, installation: 'us', isManaged: true, ...more });
  return server;
};

describe('a free server', () => {
  test('that is clean stays clean and is not in use', () => {
    expect(kept(aServer()).status).toEqual({ inUse: false, isClean: true });
  });
  test('that is not accepted is never clean', () => {
    expect(kept(aServer({ spec: { accepted: false } })).status?.isClean).toBe(false);
  });
  test('network-boots again: PXEBooted goes', () => {
    const server = aServer({ status: { conditions: [{ type: 'PXEBooted', status: 'True', lastTransitionTime: now.toISOString() }] } });
    expect(kept(server).status?.conditions).toEqual([]);
  });
  test('that is being deleted is let go', () => {
    const server = aServer({ metadata: { name: 'x', deletionTimestamp: now.toISOString(), finalizers: [SERVER_FINALIZER, 'other'] } });
    expect(kept(server).metadata.finalizers).toEqual(['other']);
  });
});

describe('an allocated server', () => {
  test('is in use and no longer clean', () => {
    expect(kept(aServer(), binding(false)).status).toEqual({ inUse: true, isClean: false });
  });
  test('boots from disk once Talos is installed', () => {
    expect(kept(aServer(), binding(true)).status?.conditions).toMatchObject([{ type: 'PXEBooted', status: 'True' }]);
  });
  test('is not deleted under its machine', () => {
    const server = aServer({ metadata: { name: 'x', deletionTimestamp: now.toISOString(), finalizers: [SERVER_FINALIZER] } });
    expect(kept(server, binding(false)).metadata.finalizers).toEqual([SERVER_FINALIZER]);
  });
  test('keeps its owners, except a ServerClass: its deletion must not take the machine along', () => {
    const other = { apiVersion: 'v1', kind: 'X', name: 'x', uid: '1' };
    const ofClass = { apiVersion: 'metal.sidero.dev/v1alpha1', kind: 'ServerClass', name: 'any', uid: '2' };
    expect(kept(aServer({ metadata: { name: 'x', ownerReferences: [ofClass, other] } }), binding(false)).metadata.ownerReferences).toEqual([other]);
    expect(kept(aServer({ metadata: { name: 'x', ownerReferences: [ofClass] } }), binding(false)).metadata.ownerReferences).toBeUndefined();
  });
});

describe('a server that nobody can power-cycle', () => {
  const inUse = () => aServer({ status: { inUse: true } });
  const management = (server: Server) => server.status?.conditions?.find(({ type }) => type === 'PowerManagement');

  test('says so when it is released, as its old system may still run', () => {
    expect(management(kept(inUse(), undefined, { isManaged: false }))).toMatchObject({ status: 'False', reason: 'Unmanaged' });
  });
  test('says nothing while it is in use, and never if it was not', () => {
    expect(management(kept(inUse(), binding(true), { isManaged: false }))).toBeUndefined();
    expect(management(kept(aServer(), undefined, { isManaged: false }))).toBeUndefined();
  });
});

describe('the fence', () => {
  const fenced = (fence: string | undefined, more: Partial<Server> = {}) =>
    aServer({ metadata: { name: 'x', annotations: { ...(fence ? { [FENCE_ANNOTATION]: fence } : {}), ...more.metadata?.annotations } } });
  const adoptedWas = (word: string): Partial<Server> => ({ metadata: { name: 'x', annotations: { [ADOPT_ANNOTATION]: word } } });
  const fence = (server: Server) => server.metadata.annotations?.[FENCE_ANNOTATION];

  test('is set around an accepted server that has none', () => {
    expect(fence(kept(fenced(undefined)))).toBe('us/1');
    expect(fence(kept(aServer({ spec: { accepted: false } })))).toBeUndefined();
  });
  test('of another installation stays, also one that cannot be read', () => {
    expect(fence(kept(fenced('them/4')))).toBe('them/4');
    expect(fence(kept(fenced('what?')))).toBe('what?');
  });
  test('of another installation becomes ours by a ServerBinding here, one epoch later', () => {
    expect(fence(kept(fenced('them/4'), binding(false)))).toBe('us/5');
  });
  /** As `sidero adopt` leaves it, told to this installation. */
  const adopted = (server: Server, installation: string): Server => {
    server.metadata.annotations = { ...server.metadata.annotations, [ADOPT_ANNOTATION]: adoptionOf(server, installation) };
    return server;
  };

  test('of another installation takes a request along: what was asked for there may have been done there', () => {
    const asked = fenced('them/4', { metadata: { name: 'x', annotations: { [REQUEST_ANNOTATION]: 'power-cycle 1', other: 'stays' } } });
    expect(kept(asked, binding(false)).metadata.annotations).toEqual({ [FENCE_ANNOTATION]: 'us/5', other: 'stays' });
  });
  test('of another installation becomes ours by sidero adopt, which is used up by that', () => {
    expect(kept(adopted(fenced('them/4'), 'us')).metadata.annotations).toEqual({ [FENCE_ANNOTATION]: 'us/5' });
    expect(fence(kept(adopted(fenced('what?'), 'us')))).toBe('us/1');
  });
  test('that is ours, or is about to be, leaves sidero adopt to the machine that registers next', () => {
    expect(kept(adopted(fenced('us/1'), 'us')).metadata.annotations).toEqual({ [FENCE_ANNOTATION]: 'us/1', [ADOPT_ANNOTATION]: 'for us over us/1' });
    expect(kept(adopted(fenced(undefined), 'us')).metadata.annotations).toEqual({
      [FENCE_ANNOTATION]: 'us/1',
      [ADOPT_ANNOTATION]: 'for us over none',
    });
  });
  test.each<[string, Server]>([
    ['told to the installation that had it, and moved at once', adopted(fenced('them/4'), 'them')],
    ['told to the installation that had it before that one', adopted(fenced('them/4'), 'others')],
    ['told to us before it was moved away, and back before anybody there took it', fenced('them/5', adoptedWas('for us over us/4'))],
    ['told to nobody', fenced('them/4', adoptedWas('true'))],
  ])('of another installation stays when sidero adopt was %s: its machine was rebooted before its ServerBinding came', (_, server) => {
    const before = structuredClone(server.metadata.annotations);
    expect(kept(server).metadata.annotations).toEqual(before);
  });
});
