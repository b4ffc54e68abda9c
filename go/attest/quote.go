package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

const (
	quoteHeaderSize = 48
	bodySize        = 384
	signedSize      = quoteHeaderSize + bodySize
	signatureSize   = 576

	reportHeaderSize   = 16 // oe_report_header_t
	evidenceHeaderSize = 32 // oe_attestation_header_t

	flagDebug = 0x2
)

var intelVendor = []byte{0x93, 0x9A, 0x72, 0x33, 0xF7, 0x9C, 0x4C, 0xA9, 0x94, 0x0A, 0x0D, 0xB3, 0x95, 0x7F, 0x06, 0x07}

// Open Enclave's format SGX_ECDSA.
var formatECDSA = []byte{0xa3, 0xa2, 0x1e, 0x87, 0x1b, 0x4d, 0x40, 0x14, 0xb7, 0x0a, 0xa1, 0x25, 0xd2, 0xfb, 0xcd, 0x8c}

// quote is a DCAP quote of version 3, in parts of the evidence.
type quote struct {
	signed             []byte // header and body
	body               []byte
	signature          []byte // r, s
	key                []byte // x, y
	qeReport           []byte
	qeReportSignature  []byte
	authenticationData []byte
	certificates       []byte
}

func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// reader takes parts off the front of bytes; after a failure everything it gives is empty.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(size uint64) []byte {
	if r.failed || size > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	part := r.rest[:size]
	r.rest = r.rest[size:]
	return part
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return le16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return le32(b)
	}
	return 0
}

// unwrap takes a quote out of Open Enclave's headers; claims is what follows it in evidence.
func unwrap(evidence []byte) (quoteBytes, claims []byte, err error) {
	if len(evidence) < evidenceHeaderSize {
		return nil, nil, refuse("evidence_format", "%d bytes are too few", len(evidence))
	}
	switch version := le32(evidence); {
	case version > 0xFFFF && le16(evidence) >= 3 && le16(evidence) <= 5: // version and key type of a quote
		return evidence, nil, nil
	case version == 1: // oe_report_header_t
		size := le64(evidence[8:])
		if le32(evidence[4:]) != 2 || size > uint64(len(evidence)-reportHeaderSize) {
			return nil, nil, refuse("evidence_format", "the report's header says another size, or no remote report")
		}
		return evidence[reportHeaderSize : reportHeaderSize+size], nil, nil
	case version == 2 || version == 3: // oe_attestation_header_t
		size := le64(evidence[24:])
		if !bytes.Equal(evidence[4:20], formatECDSA) || size > uint64(len(evidence)-evidenceHeaderSize) {
			return nil, nil, refuse("evidence_format", "the evidence is no SGX quote, or its header says another size")
		}
		inner := evidence[evidenceHeaderSize : evidenceHeaderSize+size]
		if len(inner) < signedSize+4 {
			return nil, nil, refuse("evidence_parse", "the evidence ends inside the quote")
		}
		end := uint64(signedSize+4) + uint64(le32(inner[signedSize:]))
		if end > uint64(len(inner)) {
			return nil, nil, refuse("evidence_parse", "the evidence ends inside the quote's signature")
		}
		return inner[:end], inner[end:], nil
	}
	return nil, nil, refuse("evidence_format", "neither a quote of version 3, a report nor evidence")
}

func parseQuote(data []byte) (*quote, error) {
	r := &reader{rest: data}
	q := &quote{signed: r.take(signedSize)}
	signatureBytes := r.take(uint64(r.u32()))
	if r.failed {
		return nil, refuse("evidence_parse", "the quote ends too early")
	}
	q.body = q.signed[quoteHeaderSize:]
	switch {
	case le16(q.signed) != 3:
		return nil, refuse("evidence_parse", "version %d of quotes; 3 is known here", le16(q.signed))
	case le16(q.signed[2:]) != 2:
		return nil, refuse("evidence_parse", "attestation key type %d; expected 2, ECDSA with P-256", le16(q.signed[2:]))
	case le32(q.signed[4:]) != 0:
		return nil, refuse("evidence_parse", "TEE type %#x; expected SGX", le32(q.signed[4:]))
	case !bytes.Equal(q.signed[12:28], intelVendor):
		return nil, refuse("evidence_parse", "the quoting enclave's vendor is not Intel's number")
	}
	s := &reader{rest: signatureBytes}
	q.signature = s.take(64)
	q.key = s.take(64)
	q.qeReport = s.take(bodySize)
	q.qeReportSignature = s.take(64)
	q.authenticationData = s.take(uint64(s.u16()))
	kind := s.u16()
	q.certificates = s.take(uint64(s.u32()))
	if s.failed || len(s.rest) != 0 {
		return nil, refuse("evidence_parse", "the sizes in the quote's signature do not add up")
	}
	if kind >= 1 && kind <= 4 || kind == 7 {
		return nil, refuse("pck_chain", "the quote holds certification data of type %d, no chain", kind)
	}
	if kind != 5 {
		return nil, refuse("evidence_parse", "certification data of type %d", kind)
	}
	return q, nil
}

func (v *verification) parse(evidence []byte) error {
	data, claims, err := unwrap(evidence)
	if err != nil {
		return err
	}
	// Bytes behind a bare quote are padding of buffers, not signed and not looked at.
	if v.quote, err = parseQuote(data); err != nil {
		return err
	}
	report, body := v.report, v.quote.body
	copy(report.MRENCLAVE[:], body[64:])
	copy(report.MRSIGNER[:], body[128:])
	copy(report.Data[:], body[320:])
	report.Attributes = le64(body[48:])
	report.Debug = report.Attributes&flagDebug != 0
	report.ProductID = le16(body[256:])
	report.SVN = le16(body[258:])
	if wrapped := le32(evidence) == 2 || le32(evidence) == 3; wrapped && le16(evidence[2:]) == 0 {
		expected := [64]byte{}
		hash := sha256.Sum256(claims)
		copy(expected[:], hash[:])
		if expected != report.Data {
			return refuse("custom_claims", "the custom claims are not those that the report names")
		}
		report.CustomClaims = append([]byte(nil), claims...)
	}
	return nil
}
