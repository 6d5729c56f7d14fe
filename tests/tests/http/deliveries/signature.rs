//! Signatures of Standard Webhooks, reckoned anew: SHA-256 and HMAC from their specifications (FIPS 180-4, RFC 2104).

use super::receiver::Received;

/// Whether the request was signed with this secret, which begins with `whsec_`.
pub fn holds(request: &Received, secret: &str) -> bool {
    let key = decoded(secret.strip_prefix("whsec_").expect("a secret"));
    let text = format!("{}.{}.{}", request.header("webhook-id"), request.header("webhook-timestamp"), request.body);
    let expected = format!("v1,{}", encoded(&hmac(&key, text.as_bytes())));
    request.header("webhook-signature").split(' ').any(|signature| signature == expected)
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    match key.len() > 64 {
        true => block[..32].copy_from_slice(&sha256(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let with = |pad: u8, rest: &[u8]| sha256(&[block.map(|byte| byte ^ pad).as_slice(), rest].concat());
    with(0x5c, &with(0x36, text))
}

fn sha256(text: &[u8]) -> [u8; 32] {
    let primes: Vec<u32> = (2..).filter(|number| (2..*number).all(|divisor| number % divisor != 0)).take(64).collect();
    // The first 32 bits of the fractional part of a root.
    let fraction = |root: f64| ((root - root.floor()) * f64::from(1 << 16) * f64::from(1 << 16)) as u32;
    let mut state: Vec<u32> = primes.iter().take(8).map(|prime| fraction(f64::from(*prime).sqrt())).collect();
    let rounds: Vec<u32> = primes.iter().map(|prime| fraction(f64::from(*prime).cbrt())).collect();
    let mut padded = text.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend((text.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks(64) {
        let mut words: Vec<u32> = block.chunks(4).map(|word| u32::from_be_bytes(word.try_into().expect("four bytes"))).collect();
        for at in 16..64 {
            let (near, far) = (words[at - 15], words[at - 2]);
            let near = near.rotate_right(7) ^ near.rotate_right(18) ^ (near >> 3);
            let far = far.rotate_right(17) ^ far.rotate_right(19) ^ (far >> 10);
            words.push(words[at - 16].wrapping_add(near).wrapping_add(words[at - 7]).wrapping_add(far));
        }
        let mut now = state.clone();
        for at in 0..64 {
            let (a, e) = (now[0], now[4]);
            let choice = (e & now[5]) ^ (!e & now[6]);
            let majority = (a & now[1]) ^ (a & now[2]) ^ (now[1] & now[2]);
            let turned_e = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let turned_a = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let first = now[7].wrapping_add(turned_e).wrapping_add(choice).wrapping_add(rounds[at]).wrapping_add(words[at]);
            now.rotate_right(1);
            now[4] = now[4].wrapping_add(first);
            now[0] = first.wrapping_add(turned_a).wrapping_add(majority);
        }
        state.iter_mut().zip(now).for_each(|(state, now)| *state = state.wrapping_add(now));
    }
    let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.try_into().expect("32 bytes")
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let joined = group.iter().fold(0_u32, |joined, byte| (joined << 8) | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            text.push(if place > group.len() { '=' } else { char::from(DIGITS[(joined >> (18 - 6 * place)) as usize & 63]) });
        }
    }
    text
}

fn decoded(text: &str) -> Vec<u8> {
    let digits: Vec<u32> =
        text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte)).map(|digit| digit as u32).collect();
    let groups =
        digits.chunks(4).map(|group| (group.iter().fold(0, |joined, digit| (joined << 6) | digit) << (6 * (4 - group.len())), group.len()));
    groups.flat_map(|(joined, digits)| joined.to_be_bytes()[1..digits].to_vec()).collect()
}

#[test]
fn the_reckoning_is_that_of_the_specifications() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(hex(&sha256(&[b'a'; 119])), "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb");
    assert_eq!(hex(&sha256(&[b'a'; 120])), "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c");
    let what = b"what do ya want for nothing?";
    assert_eq!(hex(&hmac(b"Jefe", what)), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    for text in ["", "f", "fo", "foo", "foob", "fooba", "foobar"] {
        assert_eq!(decoded(&encoded(text.as_bytes())), text.as_bytes());
    }
    assert_eq!(encoded(b"fooba"), "Zm9vYmE=");
}
