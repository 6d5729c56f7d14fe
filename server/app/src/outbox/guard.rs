//! Where webhooks may not go: into the machine, its network, and networks that nobody can reach. The check of a name is the resolver of the
//! HTTP client itself, so what is connected to is what was checked, whatever a name server says a moment later. Any port of a public host may
//! be called: the grant names the host, and what listens there is its owner's business.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Which hosts may be private: for receivers in the operator's own network, and for tests.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    private: BTreeSet<String>,
}

/// Which addresses a request may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those of the public internet.
    Public,
    /// Any: the operator has named this host, or this host with this port.
    Any,
}

impl Guard {
    pub(super) fn new(private: &[String]) -> Self {
        Self { private: private.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// Checks where a request would go. A name has not been looked up yet: [`PublicOnly`] does that.
    ///
    /// # Errors
    /// The text says why nothing is sent there.
    pub(super) fn check(&self, url: &Url) -> Result<Reach, String> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address with a user or a password is not called".to_owned());
        }
        let host = url.host().ok_or("the address names no host")?;
        match (url.scheme(), self.allows(url)) {
            ("https" | "http", true) => return Ok(Reach::Any),
            ("https", false) => {}
            (scheme, _) => return Err(format!("`{scheme}://` is only for hosts among `webhook_private_hosts`")),
        }
        // `url` has read decimal, octal, hexadecimal and short forms as the addresses that they are.
        let address = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::from(address)),
            Host::Ipv6(address) => Some(IpAddr::from(address)),
        };
        match address.filter(|address| !is_public(*address)) {
            Some(address) => Err(format!("{address} is not a public address")),
            None => Ok(Reach::Public),
        }
    }

    /// True for a host that the operator has named, alone or with the port.
    fn allows(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        self.private.contains(host) || self.private.contains(&with_port)
    }
}

/// How names become addresses.
pub(super) type Lookup = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync>;

/// The resolver of a client that may only reach the public internet.
pub(super) struct PublicOnly {
    lookup: Lookup,
}

impl PublicOnly {
    /// As the operating system resolves names.
    pub(super) fn system() -> Self {
        Self::with(Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })))
    }

    pub(super) fn with(lookup: Lookup) -> Self {
        Self { lookup }
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let found = (self.lookup)(name.clone());
        Box::pin(async move {
            let found = found.await?;
            // One bad address among good ones is no accident, so there is no choosing.
            match found.iter().find(|address| !is_public(address.ip())) {
                Some(address) => Err(format!("`{name}` is {}, which is not a public address", address.ip()).into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether an address belongs to the public internet (IANA's special-purpose registries, RFC 6890 and its successors).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let number = u32::from(address);
    let within = |base: [u8; 4], bits: u32| number >> (32 - bits) == u32::from(Ipv4Addr::from(base)) >> (32 - bits);
    let special = within([0, 0, 0, 0], 8)
        || within([10, 0, 0, 0], 8)
        || within([100, 64, 0, 0], 10)
        || within([127, 0, 0, 0], 8)
        || within([169, 254, 0, 0], 16)
        || within([172, 16, 0, 0], 12)
        || within([192, 0, 0, 0], 24)
        || within([192, 0, 2, 0], 24)
        || within([192, 31, 196, 0], 24)
        || within([192, 52, 193, 0], 24)
        || within([192, 88, 99, 0], 24)
        || within([192, 168, 0, 0], 16)
        || within([192, 175, 48, 0], 24)
        || within([198, 18, 0, 0], 15)
        || within([198, 51, 100, 0], 24)
        || within([203, 0, 113, 0], 24)
        || within([224, 0, 0, 0], 3);
    !special
}

/// Of all addresses only 2000::/3 is given out. What carries an IPv4 address inside is refused whatever that is (mapped, compatible, NAT64,
/// 6to4, Teredo): who translates it, and to where, is not known here.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let unicast = segments[0] & 0xe000 == 0x2000;
    let special = segments[0] == 0x2002
        || (segments[0] == 0x2001 && segments[1] < 0x0200)
        || (segments[0] == 0x2001 && segments[1] == 0x0db8)
        || (segments[0] == 0x3fff && segments[1] < 0x1000)
        || (segments[0] == 0x2620 && segments[1] == 0x004f && segments[2] == 0x8000);
    unicast && !special
}
