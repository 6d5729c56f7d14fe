//! The signature of a notice, as Stripe describes it: the header `t=SECONDS,v1=HEX`, where HEX is HMAC-SHA256 over
//! `SECONDS.BODY`. There may be several `v1`, while the provider changes its secret.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Seconds between the signature and now; an older notice could have been recorded by somebody and sent again.
const TOLERANCE_SECONDS: u64 = 300;

/// Whether the body was signed with the secret, and not long ago.
///
/// # Errors
/// A sentence for the sender.
pub fn check(header: Option<&str>, body: &str, secret: &str, now_seconds: u64) -> Result<(), &'static str> {
    let header = header.ok_or("the notice has no signature")?;
    let value = |name: &'static str| header.split(',').filter_map(move |part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let time = value("t").next().ok_or("the signature has no time")?;
    let signed = value("v1").filter_map(bytes).any(|signature| fits(&signature, time, body, secret));
    if !signed {
        return Err("the signature does not fit");
    }
    let seconds: u64 = time.parse().map_err(|_| "the time of the signature is no number")?;
    if now_seconds.abs_diff(seconds) > TOLERANCE_SECONDS {
        return Err("the signature is too old, or of the future");
    }
    Ok(())
}

/// Takes the same time for every wrong signature.
fn fits(signature: &[u8], time: &str, body: &str, secret: &str) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return false;
    };
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    mac.verify_slice(signature).is_ok()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::check;

    const SECRET: &str = "whsec_test";
    const TIME: u64 = 1_800_000_000;
    const BODY: &str = r#"{"id":"evt_1"}"#;
    /// `printf '1800000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test`
    const GOOD: &str = "45705be2a45ab5acdd1395cc695e9e7073125385ec24194921c401dff44176f8";

    fn checked(header: &str, now: u64) -> Result<(), &'static str> {
        check(Some(header), BODY, SECRET, now)
    }

    #[test]
    fn only_fresh_and_true_signatures_are_taken() {
        let good = format!("t={TIME},v1={GOOD}");
        assert_eq!(checked(&good, TIME), Ok(()));
        assert_eq!(checked(&format!("t={TIME}, v1=00, v0=ff, v1={GOOD}"), TIME + 300), Ok(()));
        assert_eq!(checked(&good, TIME - 300), Ok(()));
        let old = Err("the signature is too old, or of the future");
        assert_eq!((checked(&good, TIME + 301), checked(&good, TIME - 301)), (old, old));
        let wrong = Err("the signature does not fit");
        let shortened = &GOOD[..62];
        for signature in [shortened, "", "0", "zz", &"00".repeat(32), &format!("{GOOD}00")] {
            assert_eq!(checked(&format!("t={TIME},v1={signature}"), TIME), wrong, "{signature}");
        }
        assert_eq!(checked(&format!("t={},v1={GOOD}", TIME + 1), TIME), wrong);
        assert_eq!(checked(&format!("t={TIME},v0={GOOD}"), TIME), wrong);
        assert_eq!(check(Some(&good), "{}", SECRET, TIME), wrong);
        assert_eq!(check(Some(&good), BODY, "another", TIME), wrong);
        assert_eq!(checked(&format!("v1={GOOD}"), TIME), Err("the signature has no time"));
        assert_eq!(check(None, BODY, SECRET, TIME), Err("the notice has no signature"));
    }
}
