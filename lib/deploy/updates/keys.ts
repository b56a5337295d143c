/** Ed25519 keys (RFC 8032) with which packages are signed: the private one stays with who publishes, devices have the public one. */

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { ensureParent, exists, InputError, reason } from "../../runtime/mod.ts";

/** A key that signs. */
export interface SigningKey {
  readonly privateKey: KeyObject;
  /** Of the public half: SPKI in DER, base64. It is what a package carries. */
  readonly publicKey: string;
}

/** Makes a new key and writes its private half, PKCS #8 in PEM, for the owner alone. Throws InputError where a file is there. */
export async function writeNewKey(path: string): Promise<SigningKey> {
  if (await exists(path)) throw new InputError(`${path}: expected no file, found one: a key is never written over`);
  const { privateKey } = generateKeyPairSync("ed25519");
  await ensureParent(path);
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  await Deno.writeTextFile(path, pem, { createNew: true, mode: 0o600 });
  return signingKey(privateKey);
}

/** Reads a private key. Throws InputError that names the file where none is there, or it is no Ed25519 key. */
export async function readSigningKey(path: string): Promise<SigningKey> {
  let pem: string;
  try {
    pem = await Deno.readTextFile(path);
  } catch (error) {
    throw new InputError(`${path}: expected a private key, found ${reason(error)}`, { cause: error });
  }
  if (/BEGIN PUBLIC KEY/.test(pem)) throw new InputError(`${path}: expected a private key, found a public one`);
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw new InputError(`${path}: expected a private key in PEM, found another file`, { cause: error });
  }
  if (key.asymmetricKeyType !== "ed25519") {
    throw new InputError(`${path}: expected an Ed25519 key, found ${key.asymmetricKeyType}`);
  }
  return signingKey(key);
}

/** The signature of some bytes, base64. Ed25519 is deterministic: the same bytes and key give the same signature. */
export function signBytes(bytes: Uint8Array, { privateKey }: SigningKey): string {
  return sign(null, bytes, privateKey).toString("base64");
}

function signingKey(privateKey: KeyObject): SigningKey {
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  return { privateKey, publicKey: spki.toString("base64") };
}
