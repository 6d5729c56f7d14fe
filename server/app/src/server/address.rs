//! Where a request comes from: the address of the peer, or, if the peer is a proxy of the operator, what that says. Nobody else is believed.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use hyper::HeaderMap;

use crate::{Error, config::Config};

/// The header of most proxies.
const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// RFC 7239.
const FORWARDED: &str = "forwarded";

/// The proxies of the operator.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    trusted: Vec<Block>,
    /// Only one of the two headers is read: a proxy that writes one of them passes the other on as the client sent it.
    forwarded: bool,
}

/// A block of addresses: an address, or one with the length of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    address: IpAddr,
    prefix: u32,
}

/// Who counts as one: an IPv4 address, or the network of 64 bits that one subscriber has in IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl Network {
    /// The network of an address.
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            address => address,
        })
    }
}

impl Proxies {
    /// Reads the settings.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let block = |text: &String| {
            text.parse().map_err(|()| {
                Error::Configuration(format!("`trusted_proxies`: `{text}` is neither an address nor a block such as `10.0.0.0/8`"))
            })
        };
        let forwarded = match config.proxy_header.to_ascii_lowercase().as_str() {
            X_FORWARDED_FOR => false,
            FORWARDED => true,
            other => {
                return Err(Error::Configuration(format!("`proxy_header` is `X-Forwarded-For` or `Forwarded`, not `{other}`")));
            }
        };
        Ok(Self { trusted: config.trusted_proxies.iter().map(block).collect::<Result<_, _>>()?, forwarded })
    }

    /// True for an address of the operator's proxies.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|block| block.contains(address))
    }

    /// The address of the client. From the peer backwards, every proxy is believed that is trusted itself.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if self.trusted.is_empty() {
            return client;
        }
        let name = if self.forwarded { FORWARDED } else { X_FORWARDED_FOR };
        let lines: Vec<&str> = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default()).collect();
        let mut hops = lines.iter().flat_map(|line| line.split(',')).rev();
        while self.trusts(client) {
            let Some(hop) = hops.next().and_then(|hop| if self.forwarded { of_forwarded(hop) } else { of_text(hop) }) else { break };
            client = hop;
        }
        client
    }
}

impl Block {
    fn contains(&self, address: IpAddr) -> bool {
        let shared = |own: u128, other: u128, bits: u32| self.prefix == 0 || (own ^ other) >> (bits - self.prefix) == 0;
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => shared(own.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => shared(own.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }
}

impl FromStr for Block {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, prefix) = text.trim().split_once('/').map_or((text.trim(), None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).map_err(|_| ())?;
        if prefix <= bits { Ok(Self { address, prefix }) } else { Err(()) }
    }
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711`.
fn of_text(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let address = match hop.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?.parse().ok()?,
        None => hop.parse().ok().or_else(|| hop.rsplit_once(':')?.0.parse().ok())?,
    };
    Some(IpAddr::to_canonical(&address))
}

/// The `for` of one element of `Forwarded`.
fn of_forwarded(hop: &str) -> Option<IpAddr> {
    let pairs = hop.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    of_text(value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(trusted: &[&str], header: &str) -> Proxies {
        let trusted_proxies = trusted.iter().map(|one| (*one).to_owned()).collect();
        Proxies::new(&Config { trusted_proxies, proxy_header: header.to_owned(), ..Config::default() }).expect("settings")
    }

    fn check(proxies: &Proxies, peer: &str, lines: &[(&'static str, &str)], expected: &str) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a header"));
        }
        let found = proxies.client(peer.parse().expect("an address"), &headers);
        assert_eq!(found, expected.parse::<IpAddr>().expect("an address"), "{peer} {lines:?}");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let nobody = proxies(&[], "X-Forwarded-For");
        check(&nobody, "127.0.0.1", &[("x-forwarded-for", "192.0.2.1")], "127.0.0.1");
        let local = proxies(&["127.0.0.1", "10.0.0.0/8"], "X-Forwarded-For");
        check(&local, "192.0.2.9", &[("x-forwarded-for", "192.0.2.1")], "192.0.2.9");
        check(&local, "127.0.0.1", &[("x-forwarded-for", "192.0.2.1")], "192.0.2.1");
        check(&local, "::ffff:127.0.0.1", &[("x-forwarded-for", "192.0.2.1")], "192.0.2.1");
        check(&local, "127.0.0.1", &[], "127.0.0.1");
        check(&local, "127.0.0.1", &[("x-forwarded-for", "nonsense")], "127.0.0.1");
        check(&local, "127.0.0.1", &[("forwarded", "for=192.0.2.1")], "127.0.0.1");
    }

    #[test]
    fn what_the_client_wrote_before_them_is_not() {
        let local = proxies(&["127.0.0.1", "10.0.0.0/8"], "X-Forwarded-For");
        check(&local, "127.0.0.1", &[("x-forwarded-for", "1.1.1.1, 192.0.2.1")], "192.0.2.1");
        check(&local, "127.0.0.1", &[("x-forwarded-for", "1.1.1.1, 192.0.2.1, 10.1.2.3")], "192.0.2.1");
        check(&local, "127.0.0.1", &[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "192.0.2.1:4711")], "192.0.2.1");
        check(&local, "127.0.0.1", &[("x-forwarded-for", "10.9.9.9")], "10.9.9.9");
        check(&local, "127.0.0.1", &[("x-forwarded-for", "[2001:db8::1]:4711")], "2001:db8::1");
    }

    #[test]
    fn the_standard_header_if_it_is_chosen() {
        let local = proxies(&["::1"], "Forwarded");
        check(&local, "::1", &[("forwarded", "for=1.1.1.1, for=\"[2001:db8::1]:4711\";proto=https")], "2001:db8::1");
        check(&local, "::1", &[("forwarded", "proto=https;For=192.0.2.1")], "192.0.2.1");
        check(&local, "::1", &[("forwarded", "for=unknown")], "::1");
        check(&local, "::1", &[("x-forwarded-for", "192.0.2.1")], "::1");
    }

    #[test]
    fn blocks_are_checked() {
        for wrong in ["localhost", "10.0.0.0/33", "::1/129", "10.0.0.0/-1", "10.0.0/8", ""] {
            assert!(wrong.parse::<Block>().is_err(), "{wrong}");
        }
        let block: Block = "2001:db8::/32".parse().expect("a block");
        assert!(block.contains("2001:db8:ffff::1".parse().expect("an address")) && !block.contains("2001:db9::1".parse().expect("one")));
        let all: Block = "0.0.0.0/0".parse().expect("a block");
        assert!(all.contains("255.255.255.255".parse().expect("an address")));
        let other = Config { proxy_header: "X-Real-IP".to_owned(), ..Config::default() };
        assert!(Proxies::new(&other).is_err());
    }

    #[test]
    fn one_subscriber_is_one_network() {
        let network = |text: &str| Network::of(text.parse().expect("an address"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }
}
