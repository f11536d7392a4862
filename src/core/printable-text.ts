/** Text from a store or a file system may hold anything: nothing of it may steer the operator's terminal. */

/** Control and format characters (bidirectional ones too) as `\x1b` or `\u{202e}`. */
export const escapeControls = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
