// Package attest verifies SGX evidence in pure Go: a quote of version 3, bare or in the wrappings of Open Enclave and EGo,
// against collateral, a time and a policy.
//
// It opens no connection and reads no clock but time.Now where a policy names no time. Nothing is trusted but the roots: Intel's, built
// in, and those that the policy names (a software platform's, for tests). The steps have the names that `cella evidence verify` uses.
package attest

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Status is the state of a platform's TCB, in the words of the collateral.
type Status string

const (
	UpToDate                          Status = "UpToDate"
	SWHardeningNeeded                 Status = "SWHardeningNeeded"
	ConfigurationNeeded               Status = "ConfigurationNeeded"
	ConfigurationAndSWHardeningNeeded Status = "ConfigurationAndSWHardeningNeeded"
	OutOfDate                         Status = "OutOfDate"
	OutOfDateConfigurationNeeded      Status = "OutOfDateConfigurationNeeded"
	Revoked                           Status = "Revoked"
	NotSupported                      Status = "NotSupported" // below every level of the collateral
)

// Report is what verified evidence says. Slices are copies.
type Report struct {
	MRENCLAVE       [32]byte
	MRSIGNER        [32]byte
	ProductID       uint16
	SVN             uint16
	Debug           bool
	Attributes      uint64 // ATTRIBUTES.FLAGS
	Data            [64]byte
	CustomClaims    []byte // of Open Enclave's evidence: bound by Data; nil: none
	TCBStatus       Status // of the whole: platform and quoting enclave
	TCBDate         time.Time
	Advisories      []string
	FMSPC           [6]byte
	PPID            [16]byte
	SoftwareRoot    bool // the root was named by the policy: not Intel's
	CollateralUntil time.Time
}

// RootKey is the SHA-256 of a root certificate's SubjectPublicKeyInfo.
type RootKey [32]byte

// IntelRoot is the key of the Intel SGX Root CA.
var IntelRoot = RootKey{
	0xA0, 0xAF, 0x03, 0x12, 0x89, 0xF5, 0xD5, 0xD4, 0x13, 0x2F, 0x91, 0x86, 0x06, 0x8A, 0x7F, 0xC1,
	0x36, 0x28, 0x63, 0x3B, 0xA2, 0x35, 0x77, 0x74, 0x72, 0xE2, 0x9B, 0x6B, 0x6C, 0x67, 0xA4, 0x9E,
}

// RootOf gives the key of a certificate in PEM or DER, as `cella platform export-root` writes it.
func RootOf(certificate []byte) (RootKey, error) {
	certificates, err := parseCertificates(certificate)
	if err != nil || len(certificates) != 1 {
		return RootKey{}, fmt.Errorf("attest: expected one certificate: %v", err)
	}
	return sha256.Sum256(certificates[0].RawSubjectPublicKeyInfo), nil
}

// Policy says what is believed and what is accepted. The zero Policy accepts production enclaves of anybody on patched hardware; say
// who the enclave is, too.
type Policy struct {
	Collateral *Collateral
	Time       time.Time // zero: now
	Roots      []RootKey // beside Intel's
	OnlyRoots  bool      // Intel's is not trusted

	// AcceptStatus: nil accepts the statuses of patched platforms: UpToDate, SWHardeningNeeded, ConfigurationNeeded and both.
	AcceptStatus []Status
	AllowDebug   bool

	MRENCLAVE []byte // nil: any
	MRSIGNER  []byte // nil: any
	ProductID *uint16
	MinSVN    uint16
	// ReportData must be the start of the report data; nil: any.
	ReportData []byte
}

// Error is a refusal: the step that failed, in the words of `cella evidence verify --json`.
type Error struct {
	Step string
	Text string
}

func (e *Error) Error() string { return "attest: " + e.Step + ": " + e.Text }

func refuse(step, format string, arguments ...any) error {
	return &Error{Step: step, Text: fmt.Sprintf(format, arguments...)}
}

// Step gives the step of a refusal; "" for other errors.
func Step(err error) string {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Step
	}
	return ""
}

type verification struct {
	policy *Policy
	now    time.Time
	quote  *quote
	pool   *pool
	pck    *certificate
	ext    pckExtension
	report *Report
	soft   []error // dates and revocation: the rest is still looked at
	qe     Status
	// the platform has none of the levels
	isBelow bool
}

// Verify checks evidence. The report is filled as far as verification came: with an error whose step is tcb_status, debug, measurement
// and so on, all of it is verified but for what the policy wants; with a step before those, nothing in it may be believed.
func Verify(evidence []byte, policy *Policy) (*Report, error) {
	if policy == nil {
		policy = &Policy{}
	}
	v := &verification{policy: policy, now: policy.Time, report: &Report{}}
	if v.now.IsZero() {
		v.now = time.Now()
	}
	for _, step := range []func() error{
		func() error { return v.parse(evidence) },
		v.chain,
		v.signatures,
		v.revocation,
		v.documents,
	} {
		if err := step(); err != nil {
			return v.report, err
		}
	}
	if len(v.soft) > 0 {
		return v.report, v.soft[0]
	}
	return v.report, v.judge()
}

// judge is the policy's part.
func (v *verification) judge() error {
	report, policy := v.report, v.policy
	accept := policy.AcceptStatus
	if accept == nil {
		accept = []Status{UpToDate, SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded}
	}
	accepted := false
	for _, status := range accept {
		accepted = accepted || status == report.TCBStatus
	}
	switch {
	case v.isBelow:
		return refuse("tcb_level", "the platform is below every level of the collateral")
	case !accepted:
		return refuse("tcb_status", "%s (advisories: %v)", report.TCBStatus, report.Advisories)
	case report.Debug && !policy.AllowDebug:
		return refuse("debug", "the enclave is open to a debugger")
	case policy.MRENCLAVE != nil && !bytes.Equal(policy.MRENCLAVE, report.MRENCLAVE[:]):
		return refuse("measurement", "MRENCLAVE is %x", report.MRENCLAVE)
	case policy.MRSIGNER != nil && !bytes.Equal(policy.MRSIGNER, report.MRSIGNER[:]):
		return refuse("signer", "MRSIGNER is %x", report.MRSIGNER)
	case policy.ProductID != nil && *policy.ProductID != report.ProductID:
		return refuse("product", "the product id is %d, not %d", report.ProductID, *policy.ProductID)
	case report.SVN < policy.MinSVN:
		return refuse("svn", "the security version is %d, below %d", report.SVN, policy.MinSVN)
	case policy.ReportData != nil && !bytes.HasPrefix(report.Data[:], policy.ReportData):
		return refuse("report_data", "the report data is %x", report.Data)
	}
	return nil
}

func (v *verification) window(what string, from, until time.Time) {
	if v.report.CollateralUntil.IsZero() || until.Before(v.report.CollateralUntil) {
		v.report.CollateralUntil = until
	}
	if v.now.Before(from) {
		v.soft = append(v.soft, refuse("validity", "%s is valid from %s on", what, from.UTC().Format(time.RFC3339)))
	} else if v.now.After(until) {
		v.soft = append(v.soft, refuse("validity", "%s was valid until %s", what, until.UTC().Format(time.RFC3339)))
	}
}

func (v *verification) certificateWindow(c *certificate) {
	for ; c != nil; c = c.issuer {
		v.window(c.Subject.CommonName, c.NotBefore, c.NotAfter)
		if c.issuer == c {
			return
		}
	}
}

func isTrusted(policy *Policy, root *x509.Certificate) (trusted, software bool) {
	key := RootKey(sha256.Sum256(root.RawSubjectPublicKeyInfo))
	for _, named := range policy.Roots {
		if key == named {
			return true, key != IntelRoot
		}
	}
	return !policy.OnlyRoots && key == IntelRoot, false
}
