// noise_oracle is a peer whose Noise is not ours: flynn/noise, package
// golang-github-flynn-noise-dev. test_noise_oracle.py holds ratsd against it in both roles.
//
//	noise_oracle dial ADDRESS COUNT [PROTOCOL]   handshakes as initiator
//	noise_oracle listen COUNT [PROTOCOL]         as responder; prints "port N" first
//
// Each handshake has a fresh key. Then messages of many sizes are sent on the channel "oracle", and
// each must come back as it was. Prints "peer OURS THEIRS" for each handshake and "done" at the end.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/flynn/noise"
)

const (
	app       = 1
	maxBlock  = 64 << 20
	timeLimit = 20 * time.Second
)

// channel is the id of the name "oracle" (wire note, 5.3).
var channel = func() uint16 {
	sum := fnv.New32a()
	sum.Write([]byte("oracle"))
	return uint16(sum.Sum32()>>16) ^ uint16(sum.Sum32())
}()

// between is the channel on which two ratsd talk about themselves; others pass over it.
var between = []byte{0x56, 0x4d}

var sizes = []int{0, 1, 64, 1000, 16384, 65515, 65516, 65535, 65536, 200000, 1 << 20}

func writeBlock(to io.Writer, body []byte) error {
	block := make([]byte, 4, 4+len(body))
	binary.BigEndian.PutUint32(block, uint32(len(body)))
	_, err := to.Write(append(block, body...))
	return err
}

func readBlock(from io.Reader) ([]byte, error) {
	var prefix [4]byte
	if _, err := io.ReadFull(from, prefix[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(prefix[:])
	if size > maxBlock {
		return nil, fmt.Errorf("a block of %d bytes", size)
	}
	body := make([]byte, size)
	_, err := io.ReadFull(from, body)
	return body, err
}

func random(size int) []byte {
	data := make([]byte, size)
	if _, err := rand.Read(data); err != nil {
		panic(err)
	}
	return data
}

type link struct {
	conn    net.Conn
	send    *noise.CipherState
	receive *noise.CipherState
}

// shake runs XX; payload is carried by each of our messages, and read over by the other end.
func shake(conn net.Conn, initiator bool, protocol string, payload []byte) (*link, error) {
	suite := noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashSHA256)
	static, err := suite.GenerateKeypair(rand.Reader)
	if err != nil {
		return nil, err
	}
	state, err := noise.NewHandshakeState(noise.Config{
		CipherSuite:   suite,
		Pattern:       noise.HandshakeXX,
		Initiator:     initiator,
		Prologue:      append([]byte("librats-proto\x1f"), protocol...),
		StaticKeypair: static,
	})
	if err != nil {
		return nil, err
	}
	var first, second *noise.CipherState
	for turn := 0; turn < 3; turn++ {
		if (turn%2 == 0) == initiator {
			var message []byte
			if message, first, second, err = state.WriteMessage(nil, payload); err != nil {
				return nil, err
			}
			err = writeBlock(conn, message)
		} else {
			var message []byte
			if message, err = readBlock(conn); err != nil {
				return nil, err
			}
			var theirs []byte
			if theirs, first, second, err = state.ReadMessage(nil, message); err == nil && len(theirs) != 0 {
				err = errors.New("ratsd sent a payload in its handshake")
			}
		}
		if err != nil {
			return nil, err
		}
	}
	fmt.Printf("peer %x %x\n", sha256.Sum256(static.Public), sha256.Sum256(state.PeerStatic()))
	if initiator {
		return &link{conn, first, second}, nil
	}
	return &link{conn, second, first}, nil
}

// echo sends one message and waits for it to come back, past what else a node says.
func (l *link) echo(payload []byte) error {
	message := append([]byte{app, 0, byte(channel >> 8), byte(channel)}, payload...)
	sealed, err := l.send.Encrypt(nil, nil, message)
	if err != nil {
		return err
	}
	if err = writeBlock(l.conn, sealed); err != nil {
		return err
	}
	for {
		block, err := readBlock(l.conn)
		if err != nil {
			return err
		}
		got, err := l.receive.Decrypt(nil, nil, block)
		if err != nil {
			return err
		}
		if len(got) < 4 {
			return errors.New("a message without a header")
		}
		if got[0] == app && !bytes.Equal(got[2:4], between) {
			if !bytes.Equal(got, message) {
				return fmt.Errorf("%d bytes came back as %d others", len(message), len(got))
			}
			return nil
		}
	}
}

func talk(conn net.Conn, initiator bool, protocol string, round int) error {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeLimit)); err != nil {
		return err
	}
	// Every other handshake carries something, up to what the wire note allows.
	l, err := shake(conn, initiator, protocol, random(round%2*(1+round*16%256)))
	if err != nil {
		return err
	}
	for _, size := range sizes {
		if err := l.echo(random(size)); err != nil {
			return fmt.Errorf("%d bytes: %w", size, err)
		}
	}
	return nil
}

func run(words []string) error {
	protocol := "librats/1.0"
	initiator := len(words) >= 3 && words[0] == "dial"
	if initiator {
		words = words[1:]
	} else if len(words) < 2 || words[0] != "listen" {
		return errors.New("usage: noise_oracle dial ADDRESS COUNT [PROTOCOL] | listen COUNT [PROTOCOL]")
	}
	count, err := strconv.Atoi(words[1])
	if err != nil {
		return err
	}
	if len(words) > 2 {
		protocol = words[2]
	}
	next := func() (net.Conn, error) { return net.Dial("tcp", words[0]) }
	if !initiator {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Printf("port %d\n", listener.Addr().(*net.TCPAddr).Port)
		next = listener.Accept
	}
	for round := 0; round < count; round++ {
		conn, err := next()
		if err == nil {
			err = talk(conn, initiator, protocol, round)
		}
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	fmt.Println("done")
	return nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}
