import { GgufError } from '../gguf/gguf-error.ts';
import { refusal } from './read-remote.ts';
import { isWebPage, webPageError } from './web-page.ts';
import { request, type WebAccess } from './web.ts';

/** Published configurations have some kilobytes; the largest, with a list for each layer, some tens of them. */
export const MAX_CONFIG_BYTES = 4 * 2 ** 20;

/**
 * Fetches a config.json.
 * @param label - how errors name it.
 * @throws GgufError when it cannot be reached, is too long or is no JSON; the signal's reason when it was aborted.
 */
export async function readRemoteConfig(address: string, label: string, access: WebAccess): Promise<unknown> {
  const text = await request(address, label, {}, access, async (answer) => {
    if (answer.status !== 200) {
      await answer.discard();
      throw refusal(answer.status, label);
    }
    if (isWebPage(answer)) {
      await answer.discard();
      throw webPageError(address, label, access);
    }
    const body = await answer.read(MAX_CONFIG_BYTES + 1);
    if (body.byteLength > MAX_CONFIG_BYTES) {
      throw new GgufError(
        'limit-exceeded',
        `${label} has more than ${MAX_CONFIG_BYTES} bytes; it is no config.json.`,
      );
    }
    return new TextDecoder().decode(body);
  });
  try {
    const config: unknown = JSON.parse(text);
    return config;
  } catch (error) {
    throw new GgufError(
      'malformed',
      `${label} is no JSON; give the address of a config.json or a .gguf file.`,
      {
        cause: error,
      },
    );
  }
}
