// Package geo turns places on Earth into scores of sorted sets, and areas into ranges of
// scores: geohashes of 52 bits, as Redis makes them.
//
// # Cells
//
// Longitude from -180 to 180 and latitude from -85.05112878 to 85.05112878 degrees (where the
// web's Mercator maps end) are halved again and again. The halves that a place is in, one bit
// each, longitude first and then in turn, are its geohash. Step n has 2n bits and cuts the
// world into 4^n cells. A score is the geohash of step 26, whose cells are at most 0.6 m wide:
// 52 bits, which a float64 holds exactly. All places in a cell of a smaller step have scores
// that begin with the cell's bits, so they are one range of scores.
//
// # Areas
//
// Shape.Ranges covers a circle or a box by the cell that its centre is in and up to eight
// around it, of the greatest step at which they suffice. Whoever searches tries each place in
// these ranges with Shape.Distance: O(ranges × log n + places in the cells).
//
// # The same answers as Redis
//
// All arithmetic is in float64 and in Redis's order of operations; products are rounded before
// they are added, whatever instructions the processor has. The sines of libraries differ in the
// last bit, which does not show in the four digits of a reply; for distances that are stored
// there is ExactDistance.
package geo

import "math"

// The limits of places that have a geohash, in degrees.
const (
	MaxLongitude = 180
	MaxLatitude  = 85.05112878

	maxStep = 26
)

// Place is a point on Earth, in degrees.
type Place struct{ Longitude, Latitude float64 }

// Valid tells whether a place has a geohash.
func (p Place) Valid() bool {
	return p.Longitude >= -MaxLongitude && p.Longitude <= MaxLongitude &&
		p.Latitude >= -MaxLatitude && p.Latitude <= MaxLatitude
}

// Score is the geohash of a place that is Valid. O(1).
func (p Place) Score() uint64 { return cellOf(p, maxStep).bits() }

// FromScore returns the middle of the cell of a score. Any number is taken for a score.
func FromScore(score float64) Place {
	x, y := deinterleave(scoreBits(score))
	low, high := cell{x, y, maxStep}.corners()
	return Place{
		Longitude: clamp((low.Longitude+high.Longitude)/2, MaxLongitude),
		Latitude:  clamp((low.Latitude+high.Latitude)/2, MaxLatitude),
	}
}

func clamp(x, limit float64) float64 { return max(-limit, min(limit, x)) }

// scoreBits is the score as a whole number of 64 bits, of two's complement where it is negative.
func scoreBits(score float64) uint64 {
	const half = 1 << 63
	switch {
	case score >= 2*half || score < -half:
		return half
	case score >= half:
		return uint64(int64(score-half)) | half
	}
	return uint64(int64(score))
}

// Name is the place's geohash in the form that others use: eleven characters, latitude being
// from -90 to 90. The last one is always 0, since there are no more than 52 bits.
func (p Place) Name() [11]byte {
	const alphabet = "0123456789bcdefghjkmnpqrstuvwxyz"
	bits := interleave(
		uint32(fraction(p.Longitude, MaxLongitude)*(1<<maxStep)),
		uint32(fraction(p.Latitude, 90)*(1<<maxStep)))
	var name [11]byte
	for i := range name {
		name[i] = alphabet[0]
		if i < len(name)-1 {
			name[i] = alphabet[bits>>(52-5*(i+1))&31]
		}
	}
	return name
}

const (
	earthRadius = 6372797.560856         // m
	degree      = float64(math.Pi) / 180 // rad
	mercatorMax = 20037726.37            // m: half of the map's width
)

// Distance is that of two places on a sphere, by the haversine formula, in metres.
func Distance(a, b Place) float64 { return distance(a, b, math.Sin, math.Cos, math.Asin) }

func distance(a, b Place, sin, cos, asin func(float64) float64) float64 {
	v := sin((float64(b.Longitude*degree) - float64(a.Longitude*degree)) / 2)
	if v == 0 {
		return meridianDistance(a.Latitude, b.Latitude)
	}
	lat1, lat2 := a.Latitude*degree, b.Latitude*degree
	u := sin((lat2 - lat1) / 2)
	h := float64(u*u) + float64(cos(lat1)*cos(lat2)*v*v)
	return 2 * earthRadius * asin(math.Sqrt(h))
}

// meridianDistance is that of two latitudes on one meridian, in metres.
func meridianDistance(lat1, lat2 float64) float64 {
	return earthRadius * math.Abs(float64(lat2*degree)-float64(lat1*degree))
}
