import { existsSync } from 'node:fs';
import { open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  findHubFile,
  hubNameOf,
  isModelAddress,
  MAX_CONFIG_BYTES,
  readGgufHeader,
  readRemoteConfig,
  readRemoteHeader,
  type HubName,
  type WebAccess,
} from '../model/host/index.ts';
import type { GgufHeader } from '../model/index.ts';
import { CommandFailure } from './exit.ts';

/** What a file says of its model, in its own terms. */
export type ModelText =
  | { readonly kind: 'gguf'; readonly header: GgufHeader }
  | { readonly kind: 'config'; readonly config: unknown };

/** Where the description of a model lies. */
export interface ModelPlace {
  /** How errors name it. */
  readonly label: string;
  /** Where it is, for the record: an address, a repository, or a path from the root. */
  readonly origin: string;
  /** What the model is called there. */
  readonly name: string;
  readonly read: () => Promise<ModelText>;
}

/** Finds a description by a path, an address, or a name on the hub. A file that exists is what is meant. */
export function modelPlace(source: string, access: WebAccess): ModelPlace {
  if (existsSync(source)) return localPlace(source);
  if (isModelAddress(source)) {
    if (!URL.canParse(source)) throw new CommandFailure(`${source} is no address; check how it is written.`);
    const page = hubPageOf(source, access.endpoint);
    if (page !== null) return hubPlace(page, access);
    return {
      label: source,
      origin: source,
      name: nameOfPath(new URL(source).pathname),
      read: remote(source, source, access),
    };
  }
  const name = hubNameOf(source);
  if (name !== null) return hubPlace({ name, revision: MAIN, file: null }, access);
  throw new CommandFailure(`There is no file ${source}; check its path.`);
}

/** `Qwen3-30B-A3B/config.json` is named after its folder, `Qwen3-30B-A3B-Q4_K_M.gguf` after itself. */
function nameOfPath(file: string): string {
  const base = path.basename(file, path.extname(file));
  return base === 'config' ? path.basename(path.dirname(file)) : base.replace(/-\d{5}-of-\d{5}$/, '');
}

function localPlace(source: string): ModelPlace {
  const resolved = path.resolve(source);
  return {
    label: source,
    origin: resolved,
    name: nameOfPath(resolved),
    read: async () =>
      (await isGguf(source))
        ? { kind: 'gguf', header: await readGgufHeader(source) }
        : { kind: 'config', config: await readConfig(source) },
  };
}

/** 'GGUF', the first four bytes of such a file. */
const GGUF_MAGIC = 'GGUF';

async function isGguf(source: string): Promise<boolean> {
  if (!(await stat(source)).isFile()) {
    throw new CommandFailure(`${source} is not a file; give the config.json or the .gguf file in it.`);
  }
  const file = await open(source, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(GGUF_MAGIC.length), 0, GGUF_MAGIC.length, 0);
    return /\.gguf$/i.test(source) || buffer.toString('latin1', 0, bytesRead) === GGUF_MAGIC;
  } finally {
    await file.close();
  }
}

async function readConfig(source: string): Promise<unknown> {
  const { size } = await stat(source);
  if (size > MAX_CONFIG_BYTES) {
    throw new CommandFailure(
      `${source} has ${size} bytes and is neither a GGUF file nor a config.json, which have less than ${MAX_CONFIG_BYTES}.`,
    );
  }
  try {
    const config: unknown = JSON.parse(await readFile(source, 'utf8'));
    return config;
  } catch (error) {
    throw new CommandFailure(
      `${source} is neither a GGUF file nor JSON; give a config.json or a .gguf file.`,
      {
        cause: error,
      },
    );
  }
}

function remote(address: string, label: string, access: WebAccess): () => Promise<ModelText> {
  return async () =>
    /\.gguf$/i.test(new URL(address).pathname)
      ? { kind: 'gguf', header: await readRemoteHeader(address, label, access) }
      : { kind: 'config', config: await readRemoteConfig(address, label, access) };
}

/** The pages of the hub for a repository and for a file in it. */
const HUB_PAGE = /^\/([\w.-]+\/[\w.-]+)(?:\/(?:blob|resolve)\/([\w.-]+)\/(.+))?\/?$/;
/** The branch of the hub that repositories have when nobody made another. */
const MAIN = 'main';

interface HubPage {
  readonly name: HubName;
  readonly revision: string;
  /** null: the repository as a whole. */
  readonly file: string | null;
}

function hubPageOf(address: string, endpoint: string): HubPage | null {
  if (!address.startsWith(`${endpoint}/`)) return null;
  const [, repository, revision, file] = HUB_PAGE.exec(new URL(address).pathname) ?? [];
  if (repository === undefined) return null;
  return { name: { repository, quantisation: null }, revision: revision ?? MAIN, file: file ?? null };
}

/** Repositories of GGUF files have no config.json of use; others have no GGUF files. */
function hubPlace({ name, revision, file }: HubPage, access: WebAccess): ModelPlace {
  const { repository } = name;
  const wantsGguf = name.quantisation !== null || (file === null && /-gguf$/i.test(repository));
  const base = repository.split('/')[1] ?? repository;
  if (wantsGguf) {
    return {
      label: repository,
      origin: repository,
      name: base.replace(/-gguf$/i, ''),
      read: async () => {
        const found = await findHubFile(name, access);
        return { kind: 'gguf', header: await readRemoteHeader(found.address, repository, access) };
      },
    };
  }
  const address = `${access.endpoint}/${repository}/resolve/${revision}/${file ?? 'config.json'}`;
  return {
    label: address,
    origin: address,
    name: file === null || file === 'config.json' ? base : nameOfPath(file),
    read: remote(address, address, access),
  };
}
