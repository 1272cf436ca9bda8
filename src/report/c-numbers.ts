/** More decimals than any double has that matters here; `toFixed` gives them exactly. */
const EXACT_DECIMALS = 100;
/** `toFixed` changes to an exponent above this. */
const LARGEST_FIXED = 1e21;

/**
 * `%.Nf` of C: exact halves go to the even digit, where `toFixed` takes the larger.
 * @param value - finite, below 10^21.
 */
export function formatFixed(value: number, decimals: number): string {
  const sign = value < 0 ? '-' : '';
  const digits = roundHalfEven(Math.abs(value), decimals)
    .toString()
    .padStart(decimals + 1, '0');
  if (decimals === 0) return sign + digits;
  return `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

/** Significant digits of a C++ stream that nobody has told otherwise. */
const STREAM_DIGITS = 6;

/** `std::ostream << double`, which is `%g`: six significant digits, no trailing zeros. @param value - finite. */
export function formatGeneral(value: number): string {
  if (value === 0) return '0';
  const exponent = decimalExponent(value);
  if (exponent >= -4 && exponent < STREAM_DIGITS) {
    return withoutTrailingZeros(formatFixed(value, STREAM_DIGITS - 1 - exponent));
  }
  const mantissa = withoutTrailingZeros((value / 10 ** exponent).toFixed(STREAM_DIGITS - 1));
  const size = String(Math.abs(exponent)).padStart(2, '0');
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${size}`;
}

/** The exponent after rounding to six digits: 999999.9 has 6. */
function decimalExponent(value: number): number {
  return Number(value.toExponential(STREAM_DIGITS - 1).split('e')[1]);
}

const withoutTrailingZeros = (text: string): string =>
  text.includes('.') ? text.replace(/\.?0+$/, '') : text;

function roundHalfEven(value: number, decimals: number): bigint {
  if (!(value < LARGEST_FIXED)) throw new RangeError(`${value} has no fixed-point form`);
  const exact = BigInt(value.toFixed(EXACT_DECIMALS).replace('.', ''));
  const unit = 10n ** BigInt(EXACT_DECIMALS - decimals);
  const floor = exact / unit;
  const twiceRest = (exact % unit) * 2n;
  const up = twiceRest > unit || (twiceRest === unit && floor % 2n === 1n);
  return up ? floor + 1n : floor;
}
