//! A decimal amount in the smallest unit of its currency.

/// `12.5` is 1250; none for what is no amount with at most two decimals.
pub fn parse(amount: &str) -> Option<i64> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 2 || !digits(whole) || !digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<2}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn amounts_become_cents() {
        for (amount, cents) in [("12.50", 1250), ("12.5", 1250), ("12", 1200), ("0.05", 5), ("0", 0)] {
            assert_eq!(parse(amount), Some(cents), "{amount}");
        }
        for amount in ["", ".5", "1.234", "-1", "1e2", "1,5", "٣", "99999999999999999999"] {
            assert_eq!(parse(amount), None, "{amount}");
        }
    }
}
