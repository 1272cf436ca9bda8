import * as z from 'zod';
import { GgufError } from '../gguf/gguf-error.ts';
import { splitSetOf, stemOf } from '../gguf/split.ts';
import { refusal } from './read-remote.ts';
import { isWebPage, webPageError } from './web-page.ts';
import { request, type WebAccess } from './web.ts';

/** `organisation/repository:QUANT`, as llama.cpp writes it after -hf. */
export interface HubName {
  readonly repository: string;
  /** null: the usual one. */
  readonly quantisation: string | null;
}

/** A model file of the hub. */
interface HubFile {
  /** Inside the repository; of a set the first. */
  readonly path: string;
  readonly quantisation: string;
  /** Where its bytes are. */
  readonly address: string;
}

/** The hub's rules for names: letters, digits, dots, dashes and underscores, 96 of them. */
const HUB_NAME = /^([\w.-]{1,96}\/[\w.-]{1,96})(?::([\w.-]{1,64}))?$/;

/** Whether a text is written like a model of the hub; null when it is not. */
export function hubNameOf(text: string): HubName | null {
  const [, repository, quantisation] = HUB_NAME.exec(text) ?? [];
  return repository === undefined || /\.gguf$/i.test(text)
    ? null
    : { repository, quantisation: quantisation ?? null };
}

/** What llama.cpp takes when none is named. */
const USUAL_QUANTISATION = 'Q4_K_M';
const REVISION = 'main';
/** A page of the listing has up to a thousand files of some hundred bytes. */
const PAGE_BYTES = 8 * 2 ** 20;
/** The largest repositories of GGUF files have some hundreds of files. */
const MAX_PAGES = 20;
const SHOWN_QUANTISATIONS = 40;

const listing = z.array(z.object({ type: z.string(), path: z.string() }));

/** Finds the file of a quantisation. @throws GgufError when there is none, listing those that there are. */
export async function findHubFile(name: HubName, access: WebAccess): Promise<HubFile> {
  const { repository } = name;
  const files = modelFiles(await listFiles(repository, access));
  if (files.length === 0) {
    throw new GgufError('not-found', `${repository} has no GGUF files; name a repository that has.`);
  }
  const [only] = files;
  const wanted = name.quantisation ?? (files.length === 1 ? only?.quantisation : null) ?? USUAL_QUANTISATION;
  const matching = files.filter(({ quantisation }) => quantisation.toLowerCase() === wanted.toLowerCase());
  const [file, second] = matching;
  if (file === undefined) {
    const known = [...new Set(files.map(({ quantisation }) => quantisation))].slice(0, SHOWN_QUANTISATIONS);
    throw new GgufError(
      'no-such-quantisation',
      `${repository} has no ${wanted}; it has ${known.join(', ')}.`,
    );
  }
  if (second !== undefined) {
    const paths = matching.map((each) => each.path).join(', ');
    throw new GgufError(
      'no-such-quantisation',
      `${repository} has several files of ${wanted} (${paths}); give the address of one.`,
    );
  }
  const encoded = file.path.split('/').map(encodeURIComponent).join('/');
  return { ...file, address: `${access.endpoint}/${repository}/resolve/${REVISION}/${encoded}` };
}

async function listFiles(repository: string, access: WebAccess): Promise<string[]> {
  const paths: string[] = [];
  let next: string | null = `${access.endpoint}/api/models/${repository}/tree/${REVISION}?recursive=true`;
  for (let page = 0; next !== null && page < MAX_PAGES; page += 1) {
    const address: string = next;
    const found: { paths: string[]; next: string | null } = await request(
      address,
      repository,
      {},
      access,
      async (answer) => {
        if (answer.status !== 200) {
          await answer.discard();
          // The hub does not tell strangers which private repositories exist.
          throw answer.status === 401 || answer.status === 403
            ? new GgufError(
                'refused',
                `There is no ${repository} on ${new URL(access.endpoint).host}, or it is not open to everybody: check its name, or set HF_TOKEN to a token that may read it.`,
              )
            : refusal(answer.status, repository);
        }
        if (isWebPage(answer)) {
          await answer.discard();
          throw webPageError(address, repository, access);
        }
        const parsed = parseListing(await answer.read(PAGE_BYTES), repository);
        return { paths: parsed, next: nextPage(answer.headers.get('link'), address) };
      },
    );
    paths.push(...found.paths);
    next = found.next;
  }
  return paths;
}

function parseListing(body: Uint8Array, repository: string): string[] {
  try {
    return listing
      .parse(JSON.parse(new TextDecoder().decode(body)))
      .filter(({ type }) => type === 'file')
      .map(({ path }) => path);
  } catch (error) {
    throw new GgufError('unreadable', `The list of the files of ${repository} cannot be understood.`, {
      cause: error,
    });
  }
}

/** The address after `rel="next"`, on the same host; null at the last page. */
function nextPage(link: string | null, current: string): string | null {
  const found = /<([^>]+)>\s*;\s*rel="next"/.exec(link ?? '')?.[1];
  if (found === undefined || !URL.canParse(found, current)) return null;
  const url = new URL(found, current);
  return url.origin === new URL(current).origin ? url.href : null;
}

/** What the name of a file ends in: a mix of llama.cpp, of its forks, or of a dynamic set. */
const QUANTISATION =
  /(?:^|[-._/])((?:UD-)?(?:I?Q\d[\w]*|TQ\d[\w]*|MXFP4(?:_MOE)?|NVFP4|BF16|F16|FP16|F32|FP32))$/i;
/** Projectors of pictures and importance matrices are no models. */
const NOT_A_MODEL = /(?:^|\/)(?:mmproj|imatrix)[^/]*$/i;

function modelFiles(paths: readonly string[]): Omit<HubFile, 'address'>[] {
  return paths
    .filter((path) => /\.gguf$/i.test(path) && !NOT_A_MODEL.test(path))
    .filter((path) => (splitSetOf(path)?.indexOf(path) ?? 0) === 0)
    .map((path) => ({ path, quantisation: quantisationOf(path) }));
}

function quantisationOf(path: string): string {
  const stem = stemOf(path);
  return QUANTISATION.exec(stem)?.[1] ?? stem.slice(stem.lastIndexOf('/') + 1);
}

/** The address of a file of the hub where the address of its page is given; any other address as it is. */
export function fileOfHubPage(address: string, endpoint: string): string {
  if (!address.startsWith(`${endpoint}/`)) return address;
  const path = address.slice(endpoint.length);
  return `${endpoint}${path.replace(/^(\/[\w.-]+\/[\w.-]+)\/blob\//, '$1/resolve/')}`;
}
