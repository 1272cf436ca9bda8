/** PCI vendors of GPUs. Source: the PCI ID repository. */
const VENDORS: Readonly<Record<string, string>> = {
  '1002': 'amd',
  '10de': 'nvidia',
  '8086': 'intel',
  '106b': 'apple',
  '5143': 'qualcomm',
};

/** `amd`, `nvidia`, ..., or the hexadecimal id of any other vendor. */
export function vendorName(pciVendor: string): string {
  return VENDORS[pciVendor.toLowerCase()] ?? pciVendor.toLowerCase();
}

/** Brings `0x1002`, `1002` and `00001002` to four hexadecimal digits. */
export function pciNumber(text: string): string | undefined {
  const match = /^(?:0x)?0*([0-9a-f]{1,8})$/i.exec(text.trim());
  return match?.[1]?.toLowerCase().padStart(4, '0');
}

/** Brings `00000000:01:00.0` and `0000:01:00.0` to one form with a domain of four digits. */
export function pciAddress(text: string): string | undefined {
  const match = /^([0-9a-f]{4,8}):([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/i.exec(text.trim());
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  return `${match[1].slice(-4)}:${match[2]}`.toLowerCase();
}

/**
 * Transfers per second and lane of a PCI Express generation. Source: PCI-SIG, base specifications 1.0 to 6.0.
 */
export function pcieTransfers(generation: number): number | undefined {
  return [2.5e9, 5e9, 8e9, 16e9, 32e9, 64e9][generation - 1];
}
