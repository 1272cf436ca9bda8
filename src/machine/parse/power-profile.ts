import { readFrom, type Fact } from '../fact.ts';
import { textsOf, type FileFacts } from './cpu-topology.ts';

/**
 * Whether Linux runs from the mains or a battery. A mains supply that is online wins; a desktop computer has neither,
 * which /sys/class/power_supply cannot tell from a container that hides them, so that stays unknown.
 */
export function parsePowerSupply(types: FileFacts, online: FileFacts, status: FileFacts): Fact<string> {
  return readFrom(
    types,
    '',
    () => {
      const onlineTexts = textsOf(online);
      const statusTexts = textsOf(status);
      let battery = false;
      for (const [path, type] of textsOf(types)) {
        const folder = path.slice(0, path.lastIndexOf('/'));
        if (type !== 'Battery' && onlineTexts.get(`${folder}/online`) === '1') return 'mains';
        if (type === 'Battery' && statusTexts.get(`${folder}/status`) === 'Discharging') battery = true;
      }
      return battery ? 'battery' : undefined;
    },
    'neither a mains supply that is online nor a battery that discharges is listed',
  );
}

/** Kernel files that show all choices with the current one in brackets: `always [madvise] never`. */
export function bracketedChoice(text: Fact<string>): Fact<string> {
  return readFrom(text, '', (value) => /\[([^\]]+)\]/.exec(value)?.[1], 'no choice is marked');
}

/** Built-in Windows power schemes. Source: Microsoft Learn, "Power policy settings". */
const WINDOWS_SCHEMES: Readonly<Record<string, string>> = {
  '381b4222': 'balanced',
  '8c5e7fda': 'high performance',
  a1841308: 'power saver',
  e9a42b02: 'ultimate performance',
};

/** Reads the id that `powercfg /getactivescheme` prints; a scheme of the user's own is `custom`. */
export function parseWindowsScheme(output: Fact<string>): Fact<string> {
  return readFrom(output, 'active scheme', (text) => {
    const id = /^[0-9a-f]{8}/i.exec(text.trim())?.[0];
    return id === undefined ? undefined : (WINDOWS_SCHEMES[id.toLowerCase()] ?? 'custom');
  });
}
