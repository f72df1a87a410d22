// Package layers holds no code: its test keeps the packages of this module in their layers. Imports point down only, what
// must never meet in one process does not, and each heavy dependency has one owner.
package layers
