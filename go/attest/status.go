package attest

import (
	"bytes"
	"crypto/sha256"
)

// find gives a copy of the document that fits: issued by now, then the newer one; signed under our root before all others.
func (v *verification) find(isTCB, forPlatform bool) *document {
	var best *document
	if v.policy.Collateral == nil {
		return nil
	}
	for _, d := range v.policy.Collateral.documents {
		if d.isTCB != isTCB || forPlatform && (d.tcb.fmspc != v.ext.fmspc || d.tcb.pceID != v.ext.pceID) {
			continue
		}
		copied := *d
		copied.signer = nil
		_ = v.sign(&copied, "")
		if best == nil || v.better(&copied, best) {
			best = &copied
		}
	}
	return best
}

func (v *verification) better(d, than *document) bool {
	if (d.signer != nil) != (than.signer != nil) {
		return d.signer != nil
	}
	isIssued, wasIssued := !d.issued.After(v.now), !than.issued.After(v.now)
	if isIssued != wasIssued {
		return isIssued
	}
	return d.issued.After(than.issued)
}

func (v *verification) documents() error {
	tcb := v.find(true, true)
	if tcb == nil {
		if other := v.find(true, false); other != nil {
			return refuse("tcb_info_match", "the TCB info is for FMSPC %x and PCE %x, the PCK certificate is of %x and %x",
				other.tcb.fmspc, other.tcb.pceID, v.ext.fmspc, v.ext.pceID)
		}
		return refuse("collateral", "TCB info for SGX is missing")
	}
	qe := v.find(false, false)
	if qe == nil {
		return refuse("collateral", "the QE identity for SGX is missing")
	}
	if err := v.sign(tcb, "tcb_info_signature"); err != nil {
		return err
	}
	if err := v.sign(qe, "qe_identity_signature"); err != nil {
		return err
	}
	if err := v.checkRevoked("root_crl", tcb.signer); err != nil {
		return err
	}
	if qe.signer != tcb.signer {
		if err := v.checkRevoked("root_crl", qe.signer); err != nil {
			return err
		}
	}
	if err := v.quotingEnclave(&qe.qe); err != nil {
		return err
	}
	v.status(&tcb.tcb)
	v.certificateWindow(v.pck)
	v.window("the TCB info", tcb.issued, tcb.next)
	v.certificateWindow(tcb.signer)
	v.window("the QE identity", qe.issued, qe.next)
	v.certificateWindow(qe.signer)
	return nil
}

func masked(value, mask, expected []byte) bool {
	for i := range value {
		if value[i]&mask[i] != expected[i] {
			return false
		}
	}
	return true
}

func (v *verification) quotingEnclave(identity *qeIdentity) error {
	report := v.quote.qeReport
	switch {
	case !masked(report[16:20], identity.miscMask[:], identity.miscSelect[:]):
		return refuse("qe_identity", "the QE's MISCSELECT is another one")
	case !masked(report[48:64], identity.mask[:], identity.attributes[:]):
		return refuse("qe_identity", "the QE's attributes are others")
	case !bytes.Equal(report[128:160], identity.signer[:]):
		return refuse("qe_identity", "the QE's MRSIGNER is another one")
	case int(le16(report[256:])) != identity.product:
		return refuse("qe_identity", "the QE's product id is another one")
	}
	v.qe = NotSupported
	svn := int(le16(report[258:]))
	for _, level := range identity.levels {
		if svn >= level.svn {
			v.qe = level.status
			v.advise(level.advisories)
			break
		}
	}
	return nil
}

func (v *verification) advise(ids []string) {
	for _, id := range ids {
		isKnown := false
		for _, other := range v.report.Advisories {
			isKnown = isKnown || other == id
		}
		if !isKnown {
			v.report.Advisories = append(v.report.Advisories, id)
		}
	}
}

func (v *verification) status(info *tcbInfo) {
	for _, level := range info.levels {
		fits := v.ext.pceSVN >= level.pceSVN
		for i, need := range level.components {
			fits = fits && v.ext.components[i] >= need
		}
		if fits {
			v.report.TCBDate = level.date
			v.advise(level.advisories)
			v.report.TCBStatus = converge(level.status, v.qe)
			return
		}
	}
	v.report.TCBStatus, v.isBelow = NotSupported, true
}

// converge: an old quoting enclave pulls the whole down; Revoked wins.
func converge(whole, part Status) Status {
	if part == Revoked || part == NotSupported {
		return part
	}
	if part != OutOfDate {
		return whole
	}
	switch whole {
	case UpToDate, SWHardeningNeeded:
		return OutOfDate
	case ConfigurationNeeded, ConfigurationAndSWHardeningNeeded:
		return OutOfDateConfigurationNeeded
	}
	return whole
}

// HashClaims is the report data of evidence with these custom claims.
func HashClaims(claims []byte) [64]byte {
	var data [64]byte
	hash := sha256.Sum256(claims)
	copy(data[:], hash[:])
	return data
}
