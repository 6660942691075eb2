/** Algorithm numbers of RMCP+ (IPMI 2.0, tables 13-17 to 13-19) that we speak. */
export const AUTHENTICATION = { hmacSha1: 0x01, hmacSha256: 0x03 } as const;
export const INTEGRITY = { hmacSha1Of96: 0x01, hmacSha256Of128: 0x04 } as const;
export const CONFIDENTIALITY = { aesCbc128: 0x01 } as const;

/** The numbers an Open Session message carries. */
export interface Algorithms {
  readonly authentication: number;
  readonly integrity: number;
  readonly confidentiality: number;
}

/** A cipher suite as a whole: what is agreed on when a session is opened. */
export interface CipherSuite {
  readonly id: 3 | 17;
  /** For people. */
  readonly name: string;
  readonly algorithms: Algorithms;
  /** Node's name of the hash of all its HMACs. */
  readonly hash: 'sha1' | 'sha256';
  /** Length of an untruncated HMAC: the key exchange codes of RAKP 2 and 3. */
  readonly digestBytes: number;
  /** Length of the integrity code of packets, and of that in RAKP 4. */
  readonly integrityBytes: number;
}

/** The suites we speak (IPMI 2.0, table 22-20; 17 by the errata of 2009): all three of authentication, integrity and encryption. */
export const CIPHER_SUITES: Readonly<Record<CipherSuite['id'], CipherSuite>> = {
  3: {
    id: 3,
    name: 'RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128',
    algorithms: {
      authentication: AUTHENTICATION.hmacSha1,
      integrity: INTEGRITY.hmacSha1Of96,
      confidentiality: CONFIDENTIALITY.aesCbc128,
    },
    hash: 'sha1',
    digestBytes: 20,
    integrityBytes: 12,
  },
  17: {
    id: 17,
    name: 'RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128',
    algorithms: {
      authentication: AUTHENTICATION.hmacSha256,
      integrity: INTEGRITY.hmacSha256Of128,
      confidentiality: CONFIDENTIALITY.aesCbc128,
    },
    hash: 'sha256',
    digestBytes: 32,
    integrityBytes: 16,
  },
};

/** The suite that is exactly these three; undefined when we don't speak it. */
export function suiteOf({ authentication, integrity, confidentiality }: Algorithms): CipherSuite | undefined {
  return Object.values(CIPHER_SUITES).find(
    ({ algorithms }) =>
      algorithms.authentication === authentication && algorithms.integrity === integrity && algorithms.confidentiality === confidentiality,
  );
}
