//! Exact decimal numbers: an integer and the number of its decimals. Floating point would be off by a cent sooner or
//! later, and a decimal library is larger than this plugin.

use std::fmt;

const SCALE_MAX: usize = 12;

#[derive(Clone, Copy)]
pub struct Decimal {
    units: i128,
    scale: u32,
}

impl Decimal {
    pub const ZERO: Self = Self { units: 0, scale: 0 };

    /// Reads `4.50` or `-3`: at most 20 digits, 12 of them after the point.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let digits = [whole, fraction].concat();
        let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
        if !plain || whole.is_empty() || digits.len() > 20 || fraction.len() > SCALE_MAX || text.ends_with('.') {
            return None;
        }
        let units: i128 = digits.parse().ok()?;
        Some(Self { units: if negative { -units } else { units }, scale: fraction.len() as u32 })
    }

    /// `self + price * quantity`; none on overflow.
    pub fn plus_times(self, price: Self, quantity: i64) -> Option<Self> {
        let scale = self.scale.max(price.scale);
        let amount = price.at(scale)?.checked_mul(quantity.into())?;
        Some(Self { units: self.at(scale)?.checked_add(amount)?, scale })
    }

    /// Whether both are the same number: 4.5 equals 4.50.
    pub fn equals(self, other: Self) -> bool {
        let scale = self.scale.max(other.scale);
        self.at(scale).is_some() && self.at(scale) == other.at(scale)
    }

    fn at(self, scale: u32) -> Option<i128> {
        self.units.checked_mul(10_i128.pow(scale - self.scale))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let base = 10_u128.pow(self.scale);
        let (whole, fraction) = (self.units.unsigned_abs() / base, self.units.unsigned_abs() % base);
        match self.scale {
            0 => write!(f, "{sign}{whole}"),
            scale => write!(f, "{sign}{whole}.{fraction:0width$}", width = scale as usize),
        }
    }
}
