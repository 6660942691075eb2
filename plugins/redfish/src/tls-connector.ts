import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { buildConnector } from 'undici';
import { clauseOf } from './bmc-failures.ts';
import { PIN_ANNOTATION, type Trust } from './trust.ts';

/** The service could not prove who it is; nothing was sent to it. The message is a clause about its certificate. */
export class UntrustedService extends Error {
  override readonly name = 'UntrustedService';
}

/**
 * Opens connections that are used only when the service has proved who it is. The verdict is Node's own, over chain, dates and host, or the
 * comparison with the pin; it is asked here, and not left to the handshake, so that the error can name the certificate.
 */
export function connectorFor(trust: Trust): buildConnector.connector {
  const connect = buildConnector({
    ...(trust.by === 'ca' && trust.ca !== undefined && { ca: trust.ca }),
    rejectUnauthorized: false,
    // A resumed session would skip the proof.
    maxCachedSessions: 0,
    allowH2: false,
  });
  return (options, callback) => {
    connect(options, (error, socket) => {
      if (error) return callback(error, null);
      const wrong = wrongWith(socket, trust);
      if (wrong === undefined) return callback(null, socket);
      socket.destroy();
      callback(new UntrustedService(wrong), null);
    });
  };
}

/** What speaks against sending a login over this connection; undefined when nothing does. Plain HTTP never comes here unless it was allowed. */
function wrongWith(socket: Socket | TLSSocket, trust: Trust): string | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return 'it shows no certificate';
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  if (trust.by === 'pin' ? fingerprint === trust.pin : socket.authorized) return undefined;
  const reason = trust.by === 'pin' ? 'it is not the pinned one' : `${String(socket.authorizationError)} (${trust.told})`;
  const shown = `its certificate (subject ${clauseOf(certificate.subject, []) || 'empty'}, valid until ${certificate.validTo}) is not trusted: ${reason}`;
  return `${shown}; if it is the right one, annotate the Server with ${PIN_ANNOTATION}=sha256:${fingerprint}`;
}
