use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};

use rustix::process::geteuid;

use super::*;
use crate::peer::test_process::{AS_OTHER_USER, CONNECT_TCP, OTHER_USER, Peer, can_run, skip};

#[allow(clippy::disallowed_methods, reason = "a client of the test")]
fn connect(address: &str) -> TcpStream {
    TcpStream::connect(address).unwrap()
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn owners() -> io::Result<SocketOwners> {
    SocketOwners::open(listen().0.local_addr()?)
}

/// A client and the end that was accepted.
fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listen();
    (connect(&address), listener.accept().unwrap().0)
}

fn me() -> Option<u32> {
    Some(geteuid().as_raw())
}

fn addresses(connection: &TcpStream) -> Addresses {
    addresses_of_peer(connection.as_fd()).unwrap()
}

#[test]
fn a_connection_of_this_user_is_theirs_over_ipv4_and_ipv6() {
    let mut owners = owners().unwrap();
    let cases = [
        ("127.0.0.1:0", "127.0.0.1"),
        ("127.0.0.1:0", "[::ffff:127.0.0.1]"),
        ("[::ffff:127.0.0.1]:0", "127.0.0.1"),
        ("[::ffff:127.0.0.1]:0", "[::ffff:127.0.0.1]"),
        ("127.0.0.9:0", "127.0.0.9"),
        ("[::1]:0", "[::1]"),
    ];
    for (listening, host) in cases {
        let Ok(listener) = TcpListener::bind(listening) else {
            skip(&format!("cannot listen at {listening}"));
            continue;
        };
        let client = connect(&format!("{host}:{}", listener.local_addr().unwrap().port()));
        let accepted = listener.accept().unwrap().0;
        assert_eq!(owners.uid_of_peer(&accepted).unwrap(), me(), "{listening} {host}");
        drop(client);
    }
}

#[test]
fn a_connection_of_another_user_is_theirs() {
    if !can_run(&AS_OTHER_USER) {
        return;
    }
    let (listener, address) = listen();
    let _peer = Peer::start(&AS_OTHER_USER, CONNECT_TCP, &[&address, "1"]);
    let accepted = listener.accept().unwrap().0;
    let mut owners = owners().unwrap();
    assert_eq!(owners.uid_of_peer(&accepted).unwrap(), Some(OTHER_USER));
}

#[test]
fn nobody_is_unknown() {
    let nobody = ["setpriv", "--reuid=65534", "--clear-groups"];
    if !can_run(&nobody) {
        return;
    }
    let (listener, address) = listen();
    let _peer = Peer::start(&nobody, CONNECT_TCP, &[&address, "1"]);
    let accepted = listener.accept().unwrap().0;
    let mut owners = owners().unwrap();
    assert_eq!(owners.uid_of_peer(&accepted).unwrap(), None);
}

#[test]
fn a_peer_that_knows_that_we_have_finished_sending_still_has_its_user() {
    let mut owners = owners().unwrap();
    let (mut client, accepted) = pair();
    accepted.shutdown(Shutdown::Write).unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    let found = owners.kernel.find(addresses(&accepted), ANY_COOKIE).unwrap().unwrap();
    assert_eq!(found.state, TCP_CLOSE_WAIT);
    assert_eq!(owners.uid_of_peer(&accepted).unwrap(), me());
}

#[test]
fn a_closed_connection_belongs_to_nobody_rather_than_to_root() {
    let mut owners = owners().unwrap();
    let (client, mut accepted) = pair();
    let addresses = addresses(&accepted);
    drop(client);
    accepted.read_to_end(&mut Vec::new()).unwrap();
    // Without a process: FIN_WAIT2.
    let orphan = owners.kernel.find(addresses, ANY_COOKIE).unwrap().unwrap();
    assert_eq!((orphan.inode, is_owned(&orphan, addresses)), (0, false));
    assert_eq!(owners.uid_of_peer(&accepted).unwrap(), None);
    // TIME_WAIT.
    drop(accepted);
    let waiting = owners.kernel.find(addresses, ANY_COOKIE).unwrap().unwrap();
    assert_eq!(waiting.state, netlink_packet_sock_diag::TCP_TIME_WAIT);
    assert_eq!((waiting.uid, waiting.inode), (0, 0));
    assert_eq!(owners.owner(addresses).unwrap(), None);
}

#[test]
fn a_listener_at_the_address_of_the_peer_is_not_the_peer() {
    let mut owners = owners().unwrap();
    let (listener, _) = listen();
    let own = listener.local_addr().unwrap();
    let addresses = Addresses { own, other: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)) };
    let found = owners.kernel.find(addresses, ANY_COOKIE).unwrap().unwrap();
    assert_eq!(found.state, netlink_packet_sock_diag::TCP_LISTEN);
    assert_eq!(owners.owner(addresses).unwrap(), None);
    drop(listener);
    assert_eq!(owners.kernel.find(addresses, ANY_COOKIE).unwrap(), None);
    assert_eq!(owners.owner(addresses).unwrap(), None);
}

#[test]
fn a_socket_with_another_cookie_is_not_found() {
    let mut owners = owners().unwrap();
    let (_client, accepted) = pair();
    let addresses = addresses(&accepted);
    let found = owners.kernel.find(addresses, ANY_COOKIE).unwrap().unwrap();
    assert_eq!(owners.kernel.find(addresses, found.cookie).unwrap(), Some(found.clone()));
    let mut other = found.cookie;
    other[0] ^= 1;
    assert_eq!(owners.kernel.find(addresses, other).unwrap(), None);
}

#[test]
fn a_connection_that_was_reset_belongs_to_nobody_even_if_its_address_is_used_again() {
    let mut owners = owners().unwrap();
    let (listener, address) = listen();
    let client = connect(&address);
    let accepted = listener.accept().unwrap().0;
    let before = addresses(&accepted);
    let at_once = std::time::Duration::ZERO;
    rustix::net::sockopt::set_socket_linger(&client, Some(at_once)).unwrap();
    drop(client);
    assert_eq!(owners.uid_of_peer(&accepted).unwrap(), None);
    let (family, kind) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
    let again = rustix::net::socket(family, kind, None).unwrap();
    rustix::net::bind(&again, &before.own).unwrap();
    rustix::net::connect(&again, &before.other).unwrap();
    assert_eq!(owners.owner(before).unwrap(), me());
    // Neither at once, nor if the reset came during the question.
    assert_eq!(owners.uid_of_peer(&accepted).unwrap(), None);
    assert_eq!(owners.owner_while_connected(before, accepted.as_fd()).unwrap(), None);
    let accepted = listener.accept().unwrap().0;
    assert_eq!(owners.uid_of_peer(&accepted).unwrap(), me());
}

#[test]
fn a_socket_of_another_kind_has_no_owner() {
    let mut owners = owners().unwrap();
    let (unix, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(owners.uid_of_peer(&unix).unwrap(), None);
    let (listener, _) = listen();
    assert_eq!(owners.uid_of_peer(&listener).unwrap(), None);
}

#[test]
fn a_thousand_lookups_among_stale_responses_find_the_right_users() {
    if !can_run(&AS_OTHER_USER) {
        return;
    }
    let mut owners = owners().unwrap();
    let (ours, our_address) = listen();
    let (theirs, their_address) = listen();
    let _peer = Peer::start(&AS_OTHER_USER, CONNECT_TCP, &[&their_address, "10"]);
    let clients: Vec<TcpStream> = (0..10).map(|_| connect(&our_address)).collect();
    let accept = |listener: &TcpListener| -> Vec<TcpStream> {
        (0..10).map(|_| listener.accept().unwrap().0).collect()
    };
    let (ours, theirs) = (accept(&ours), accept(&theirs));
    for number in 0..1000 {
        let index = (number * 7) % 10;
        // A response that nobody reads.
        if number % 3 == 0 {
            owners.kernel.send(addresses(&theirs[index]), ANY_COOKIE).unwrap();
        }
        let (accepted, expected) = match number % 2 {
            0 => (&ours[index], me()),
            _ => (&theirs[index], Some(OTHER_USER)),
        };
        assert_eq!(owners.uid_of_peer(accepted).unwrap(), expected, "{number}");
    }
    drop(clients);
}
