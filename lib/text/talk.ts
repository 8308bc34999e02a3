// Marks the sentences that run a call instead of saying something about the firm, each with its reason.
// Left in, 13 to 32 % of all topics sit in themes of talk ("sure, correct, right"). Of 2016Q3 (MAEC, 43,211 sentences)
// 16 % are marked: short 7.5, procedure 5.0, no content word 3.2, common words 0.2. Deletes nothing: others decide.

import { createHash } from 'node:crypto'
import { DISCOURSE_WORDS, isFigure, STOP_WORDS, words } from './words.ts'

export type TalkReason = 'operator' | 'short' | 'procedure' | 'no content word' | 'shared' | 'common words'

export type QuarterCounts = {
  /** First pass, firm by firm: all sentences of one firm, of all its calls, before those of the next. */
  count(firmKey: string, sentence: string): void
  /** Second pass, in any order: why the sentence is talk, or null. */
  reason(sentence: string, operator: boolean): TalkReason | null
  /** Words that more than half of the firms use, with the number of firms; empty under 20 firms. */
  commonWords(): Map<string, number>
}

const FEW_WORDS = 4 // "Thank you very much." is four words and talk by other rules; "Thank you." is short

// Three firms: two may quote one another or share a speaker; a sentence that three firms say word for word is a formula.
const SHARING_FIRMS = 3

// Under 20 firms "more than half" is a handful, all perhaps of one trade, and the trade's own words would be common.
const FIRMS_FOR_COMMON_WORDS = 20

// Formulas of the lawyer and the press office: procedure however long, for they leave no room for news.
const FORMULAS = patterns([
  // safe harbour
  String.raw`\b(?:forward[- ]looking (?:statement|information|comment|remark)|safe[- ]harbor|private securities litigation|cautionary (?:statement|language|note))`,
  String.raw`\b(?:actual|future|our) (?:\w+ ){0,3}(?:results|performance|outcomes)\b[^.]{0,60}\b(?:could|may|might|can|will|to) (?:differ|vary)\b`,
  String.raw`\b(?:undertakes?|assumes?|ha(?:ve|s)|disclaims?|under|accept)\b[^.]{0,20}\b(?:no|any|not) (?:obligation|duty|responsibility)\b[^.]*\b(?:update|revise|publicly)`,
  String.raw`\b(?:risks|risk factors|uncertainties|factors)\b[^.]*\b(?:10-?k|10-?q|8-?k|sec|securities and exchange commission|filings?|annual report)\b`,
  String.raw`\bnon-?gaap\b[^.]*\b(?:reconcil|press release|website|most directly comparable|regulation g)`,
  String.raw`\breconcil\w*[^.]*\b(?:gaap|press release|website)\b`,
  // recording and papers
  String.raw`\b(?:replay|rebroadcast|re-broadcast|webcast|recording|transcript)\b[^.]*\b(?:available|website|access|archived?|recorded|live|call|internet|hours)\b`,
  String.raw`\b(?:call|conference|webcast) (?:is|will be|has been|may be) (?:being )?(?:also )?(?:recorded|webcast|broadcast|archived|simulcast|accessible|available)\b`,
  String.raw`\b(?:available|posted|found|located|downloaded|accessed) (?:\w+ )?(?:on|in|at|under|from|through|off|to|by) (?:the |our )[^.]*\b(?:investor(?:s|'s)? (?:relations?|page|section|tab|portion)|ir (?:page|section|web))`,
  String.raw`\b(?:release|slides?|presentation|materials?|copy|supplement|documents?|tables?)\b[^.]*\b(?:available|posted|found|located|downloaded|accessed)\b[^.]*\bweb ?site`,
  // who is here, and the keys of the telephone
  String.raw`\b(?:joining|with|join) (?:me|us)\b[^.]{0,40}\b(?:is|are)\b[^.]*(?:<unk>|chief|officer|president|ceo|cfo)`,
  String.raw`\b(?:on|for) (?:the|our|this|today's) (?:conference )?call (?:with (?:me|us)|this morning|this afternoon|today|are|is)\b[^.]*(?:<unk>|chief|officer|president|ceo|cfo)`,
  String.raw`\b(?:first|next|last|final|following) question (?:comes|is coming|will come|today comes)\b|\byour line is (?:now )?(?:open|live)\b`,
  // what the figures are by, and where they stand
  String.raw`\b(?:refer|reference|discuss|discussing|discussion|include|contain|provide|present|use)\w*\b[^.]*\b(?:non-?gaap|adjusted) (?:and \w+ )?(?:financial )?(?:measures?|metrics|measurements?|information|basis)\b`,
  String.raw`\bnon-?gaap\b[^.]*\b(?:substitutes?|superior|replacement|in isolation|in conjunction|unless|except where)\b`,
  String.raw`\b(?:issued|posted|published|filed|file|review)\b[^.]*\b(?:(?:press|news|earnings) release|10-?[kq]|supplement(?:al)? (?:financial )?information|slide (?:deck|presentation))\b`,
  String.raw`\b(?:slides?|deck|presentation|appendix|release)\b[^.]*\baccompan(?:y|ies|ying)\b|\baccompanying (?:slides?|slide deck|presentation|materials?)\b`,
  String.raw`\btime-sensitive information\b|\b(?:is the property of|copyrighted|rebroadcast(?:ed)?|rerecorded|taping)\b`,
  String.raw`\b(?:reached|contact(?:ed)?|call)\b[^.]*\b(?:extension|e-?mail|\d{3}[- .]\d{3}[- .]\d{4})\b|\baccess code\b`,
  String.raw`\blisten[- ]only\b|\bpress (?:the )?(?:star|\*|pound|#|zero|one|1)\b|\boperator instructions\b`,
])

// Introducing, handing over, opening and closing: procedure unless the same breath holds news.
const HANDOVERS = patterns([
  // who is here, and who will speak about what
  String.raw`\b(?:i'm|i am|my name is|this is|speakers? (?:today )?(?:is|are)|introduce|present|joined (?:today )?by)\b[^.]{0,60}\b(?:chief|officer|president|ceo|cfo|director|treasurer|controller|counsel)\b`,
  String.raw`(?:<unk>|\b(?:chief|officer|president|ceo|cfo)\b)[^.]{0,40}\b(?:will|is going to|are going to) (?:now |then |also |next )?(?:review|provide|comment|discuss|cover|summarize|kick|begin|open|wrap|walk|take you|give you|update you|lead|follow)\b`,
  String.raw`\b(?:turn|hand|pass|give|transfer) (?:the |this |today's |our )?(?:\w+ )?(?:call|conference|floor|line|program|presentation|podium|microphone|mic|meeting|discussion|time|webcast)\b[^.]{0,20}\b(?:back|over|to)\b`,
  String.raw`\b(?:turn|turning|hand|handing|pass|flip|throw|kick) (?:it|that|this|things)(?: back| over| off| along| on){0,2} to (?:<unk>|you\b|the operator|operator|our \w+)`,
  String.raw`\bopen(?:ing)?(?: up)? (?:it|this|that|the|our|your|today's|for|to)?[^.]{0,30}\b(?:to|for|and) (?:your |any |some |take |the |our |a )*(?:questions?|q ?& ?a)\b`,
  String.raw`\b(?:ready|happy|glad|pleased|available) (?:to|for) (?:take |answer |address |open |respond |begin |start |have )?(?:up )?(?:to )?(?:the |your |any |some |our |all )*(?:other )?(?:questions?|q ?& ?a)\b`,
  String.raw`\b(?:take|have|go to|move to|hear|poll for|answer|entertain)(?: for)? (?:your|our|the|any|some)? ?(?:first|next|last|final|following|further|additional|more)? ?questions?,? (?:please|now|at this time|operator)\b`,
  String.raw`\b(?:have|had) (?:any |some )?(?:further |other |additional |more |follow-up )?questions?,? (?:please|feel|don't|do not)`,
  String.raw`\btake (?:our|the|your) (?:first|next|last|final) question\b`,
  String.raw`\b(?:limit|restrict|keep) (?:yourself|yourselves|your questions?|it|themselves) to (?:one|two|a single|1|2)\b`,
  String.raw`\bback (?:in|into|in to|to) (?:the )?queue\b|\bre-?enter the queue\b`,
  String.raw`\b(?:question[- ]and[- ]answer|q ?& ?a) (?:session|portion|period|part)\b`,
  String.raw`\bno (?:further|more|other|additional) questions\b`,
  String.raw`\b(?:conclude[sd]?|concluding|ends|completes|wraps up)\b[^.]{0,25}\b(?:call|conference|remarks|comments|presentation|program|webcast|session|statement|overview|teleconference|q ?& ?a|discussion)\b`,
  String.raw`\bthe end of (?:my|our|the) (?:prepared |formal )?(?:remarks|comments|presentation)\b|\byou may (?:now )?disconnect\b`,
  String.raw`\b(?:thanks?|thank you|appreciate|welcome)\b[^.]{0,30}\b(?:joining|participating|participation|listening|attending|dialing|calling in|being (?:on|with|here)|tuning|interest|time|attendance|attention|support)\b`,
  String.raw`\bwelcome (?:you |everyone |everybody )?(?:all )?(?:back )?to (?:the |our |today's |this |[\w.&' ]+(?:'s)? )`,
  String.raw`\blook(?:ing)? forward to (?:speak|talk|see|seeing|updat|meet|visit|hear|report|chat|catch|connect|tak|answer|your (?:question|participation)|shar|touch|being with)\w*[^.]{0,60}\b(?:you|everyone|next|again|soon|then|quarter|questions?)\b`,
  String.raw`\bhave a (?:\w+ )?(?:great|good|nice|wonderful|terrific|pleasant|safe) (?:\w+ )?(?:day|weekend|evening|afternoon|night|week|rest|summer|holiday|one)\b`,
])

// Courtesies, which stand before news, after it and inside it: procedure only where next to nothing else is said.
const COURTESIES = patterns([
  String.raw`\bgood (?:morning|afternoon|evening|day)\b|\bhello\b|\bwelcome\b|^(?:hi|hey)\b`,
  String.raw`\bthank(?:s| you)\b|\bappreciate (?:it|that|the|your|you)\b|\bmy pleasure\b|\bcongrat`,
  String.raw`\b(?:great|good|fair|excellent|tough|interesting|hard|fine|important) (?:\w+ )?(?:questions?|points?)\b`,
  String.raw`\b(?:this|it)(?: is|'s) <unk>`,
  String.raw`\b(?:does|did|do|hope|hopefully|if) (?:that|this|it|i|you)?[^.]{0,15}\b(?:help|answers?|answered|address(?:es|ed)?|make sense)\b`,
  String.raw`\b(?:follow-?up|question|questions|operator|queue|caller)\b`,
  String.raw`\b(?:repeat|rephrase|clarify) (?:the|that|your)\b|\b(?:can|could|did) (?:you|everyone|we) hear\b`,
])

const NEWS = /[$€£]\s?\d|\d\s?(?:%|percent|per cent|basis|million|billion)/i
// Words that carry content beside the formula. "I'll turn it over to <UNK> to review the segment results and our outlook"
// has four, "As we begin, the fundamentals remain strong and we can achieve our projection. I will turn …" eight.
const HANDOVER_WORDS = 6
const COURTESY_WORDS = 1

/** Why a sentence is talk as far as it shows by itself, or null. */
export function localReason(sentence: string, operator: boolean): TalkReason | null {
  if (operator) return 'operator'
  const all = words(sentence)
  const content = all.filter(word => !isFigure(word) && !STOP_WORDS.has(word) && !DISCOURSE_WORDS.has(word)).length
  const hasFigure = all.some(isFigure)
  // "Revenue grew 12 %." is news in three words.
  if (all.length < FEW_WORDS && !(hasFigure && content > 1)) return 'short'
  if (!NEWS.test(sentence)) {
    if (matches(FORMULAS, sentence)) return 'procedure'
    if (content <= HANDOVER_WORDS && matches(HANDOVERS, sentence)) return 'procedure'
    if (content <= COURTESY_WORDS && matches(COURTESIES, sentence)) return 'procedure'
  }
  return content === 0 && !hasFigure ? 'no content word' : null
}

/** Counts over one quarter, then answers for each sentence: sentences and words are judged by how many firms use them. */
export function createQuarterCounts(): QuarterCounts {
  // Firms of a sentence by the number it hashes to, counted up to three; the last firm beside it, so that a firm counts
  // once. Hashes of 48 bits: of 2,000,000 sentences, two share one with a chance of 1 in 140, which may mark one of them.
  const sentenceFirms = new Map<number, number>()
  const wordFirms = new Map<string, { firms: number; last: number }>()
  const firmsSeen = new Set<string>()
  let current: string | undefined
  let common: Map<string, number> | undefined

  function count(firmKey: string, sentence: string): void {
    if (firmKey !== current) {
      if (firmsSeen.has(firmKey)) throw new Error(`sentences must come firm by firm, and ${firmKey} came back`)
      firmsSeen.add(firmKey)
      current = firmKey
      common = undefined
    }
    const firm = firmsSeen.size
    for (const word of words(sentence)) {
      const known = wordFirms.get(word)
      if (known === undefined) {
        if (!isFigure(word)) wordFirms.set(word, { firms: 1, last: firm })
      } else if (known.last !== firm) {
        known.firms++
        known.last = firm
      }
    }
    const key = hashOf(sentence)
    const known = sentenceFirms.get(key) ?? 0
    const firms = known % (SHARING_FIRMS + 1)
    if (firms === SHARING_FIRMS || Math.floor(known / (SHARING_FIRMS + 1)) === firm) return
    sentenceFirms.set(key, firm * (SHARING_FIRMS + 1) + firms + 1)
  }

  function commonWords(): Map<string, number> {
    if (common !== undefined) return common
    common = new Map()
    if (firmsSeen.size < FIRMS_FOR_COMMON_WORDS) return common
    for (const [word, { firms }] of wordFirms) if (firms * 2 > firmsSeen.size) common.set(word, firms)
    return common
  }

  function reason(sentence: string, operator: boolean): TalkReason | null {
    const local = localReason(sentence, operator)
    if (local !== null) return local
    if ((sentenceFirms.get(hashOf(sentence)) ?? 0) % (SHARING_FIRMS + 1) === SHARING_FIRMS) return 'shared'
    const known = commonWords()
    const all = words(sentence)
    return all.length > 0 && all.every(word => known.has(word)) ? 'common words' : null
  }

  return { count, reason, commonWords }
}

function patterns(sources: readonly string[]): readonly RegExp[] {
  return sources.map(source => new RegExp(source, 'i'))
}

function matches(list: readonly RegExp[], sentence: string): boolean {
  return list.some(pattern => pattern.test(sentence))
}

/** A number for the sentence in small letters with every figure a 0: "Q2 2016" and "Q3 2017" are the same formula. */
function hashOf(sentence: string): number {
  const formula = sentence.toLowerCase().replace(/\d+/g, '0')
  return createHash('md5').update(formula).digest().readUIntBE(0, 6)
}
