package atls

import (
	"encoding/binary"
	"errors"
)

// The CBOR of docs/formats/attested-tls.md: definite lengths only.
const (
	kindUnsigned = 0
	kindBytes    = 2
	kindText     = 3
	kindArray    = 4
	kindMap      = 5
	kindTag      = 6

	tagEvidence = 60000
	algSHA256   = 1
	claimsMax   = 64
)

var errCBOR = errors.New("atls: the evidence's CBOR is not well-formed")

func appendHead(out []byte, kind byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(out, kind<<5|byte(n))
	case n < 1<<8:
		return append(out, kind<<5|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(out, kind<<5|25), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(out, kind<<5|26), uint32(n))
	}
}

func appendBytes(out []byte, kind byte, data []byte) []byte {
	return append(appendHead(out, kind, uint64(len(data))), data...)
}

// encodeClaims: a map of pubkey-hash, and a nonce where there is one.
func encodeClaims(keyHash, nonce []byte) []byte {
	hash := appendBytes(append(appendHead(nil, kindArray, 2), algSHA256), kindBytes, keyHash)
	count := uint64(1)
	if nonce != nil {
		count = 2
	}
	out := appendHead(nil, kindMap, count)
	out = appendBytes(appendBytes(out, kindText, []byte("pubkey-hash")), kindBytes, hash)
	if nonce != nil {
		out = appendBytes(appendBytes(out, kindText, []byte("nonce")), kindBytes, nonce)
	}
	return out
}

func encodeEvidence(quote, claims []byte) []byte {
	out := appendHead(appendHead(nil, kindTag, tagEvidence), kindArray, 2)
	return appendBytes(appendBytes(out, kindBytes, quote), kindBytes, claims)
}

type decoder struct {
	rest []byte
	err  error
}

// head gives the number of an item that must be of that kind.
func (d *decoder) head(kind byte) uint64 {
	if d.err != nil || len(d.rest) == 0 || d.rest[0]>>5 != kind {
		d.err = errCBOR
		return 0
	}
	low := d.rest[0] & 31
	d.rest = d.rest[1:]
	if low < 24 {
		return uint64(low)
	}
	size := 1 << (low - 24)
	if low > 27 || len(d.rest) < size {
		d.err = errCBOR
		return 0
	}
	n := uint64(0)
	for _, b := range d.rest[:size] {
		n = n<<8 | uint64(b)
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) bytes(kind byte) []byte {
	n := d.head(kind)
	if d.err != nil || n > uint64(len(d.rest)) {
		d.err = errCBOR
		return nil
	}
	part := d.rest[:n]
	d.rest = d.rest[n:]
	return part
}

func (d *decoder) end() error {
	if d.err == nil && len(d.rest) != 0 {
		d.err = errCBOR
	}
	return d.err
}

func decodeEvidence(data []byte) (quote, claims []byte, err error) {
	d := &decoder{rest: data}
	if d.head(kindTag) != tagEvidence || d.head(kindArray) != 2 {
		return nil, nil, errCBOR
	}
	quote, claims = d.bytes(kindBytes), d.bytes(kindBytes)
	return quote, claims, d.end()
}

// decodeClaims gives the claims by name; one that stands twice is refused.
func decodeClaims(data []byte) (map[string][]byte, error) {
	d := &decoder{rest: data}
	count := d.head(kindMap)
	if d.err != nil || count > claimsMax {
		return nil, errCBOR
	}
	claims := map[string][]byte{}
	for ; count > 0 && d.err == nil; count-- {
		name := string(d.bytes(kindText))
		if _, twice := claims[name]; twice {
			return nil, errCBOR
		}
		claims[name] = d.bytes(kindBytes)
	}
	return claims, d.end()
}

func decodeKeyHash(data []byte) (algorithm uint64, hash []byte, err error) {
	d := &decoder{rest: data}
	if d.head(kindArray) != 2 {
		return 0, nil, errCBOR
	}
	algorithm, hash = d.head(kindUnsigned), d.bytes(kindBytes)
	return algorithm, hash, d.end()
}
