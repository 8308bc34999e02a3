// Colours of themes. A hundred colours cannot be told apart, ten can: as on a political map, themes that lie near one
// another get different ones, and their names stand on the map. The ten themselves, light and dark, are in style.css.

export const COLOURS = 10

/** A colour for each point: the first ones all differ, later ones take that whose nearest bearer is farthest away. */
export function coloursOf(centres: readonly (readonly [number, number])[], colours: number): number[] {
  const colourOf: number[] = []
  for (const [x, y] of centres) {
    const nearest = new Array<number>(colours).fill(Infinity)
    for (const [place, colour] of colourOf.entries()) {
      const distance = (centres[place][0] - x) ** 2 + (centres[place][1] - y) ** 2
      nearest[colour] = Math.min(nearest[colour], distance)
    }
    colourOf.push(nearest.indexOf(Math.max(...nearest)))
  }
  return colourOf
}
