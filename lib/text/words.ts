// The words of a sentence, and the English words that name nothing: those of grammar, and those of talking on a call.
// Here because talk.ts and the keyword maker must agree on what a word is and on what carries no content.
// Leaves to talk.ts the words that are common in one quarter only.

// Grammar: articles, pronouns, prepositions, conjunctions, auxiliaries, their contractions, and plain adverbs of degree,
// time and place. A word belongs here when no sentence is about it. Negations are here: as keywords they say nothing.
const GRAMMAR = `
  a an the this that these those such same other another each every either neither both all any some no none
  i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself
  it its itself they them their theirs themselves one ones who whom whose which what someone somebody anyone anybody
  everyone everybody everything something anything nothing
  and or but nor so yet if unless because since although though while whereas whether than as
  of in on at by for from with without within to into onto upon out off over under above below between among across
  through throughout during before after until till against about around along behind beyond near toward towards up down
  per via versus vs despite except regarding
  am is are was were be been being do does did done doing have has had having will would shall should can could may might
  must cannot
  not only just also too very quite rather much many more most less least few fewer several enough still already again
  ever never always often sometimes usually once twice here there where when why how then now today soon later
  else even almost nearly perhaps maybe however therefore thus hence instead otherwise meanwhile
  etc e.g i.e eg ie
  ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mustn't shouldn't wasn't weren't won't
  wouldn't let's that's there's here's what's who's where's how's it's he's she's i'm i've i'd i'll we're we've we'd we'll
  you're you've you'd you'll they're they've they'd they'll he'd he'll she'd she'll it'll it'd that'll that'd there'll
  there'd there've who've who'd who'll what're what've one's
`

// Talk: words of courtesy, hesitation, running a call and pointing at one's own words; verbs of thinking and saying;
// nouns that stand for any noun. A word belongs here when thousands of unrelated calls use it and a topic named by it
// could be any topic: "color", "question", "guys", "quarter". Words of business do not belong: guidance, margin, demand.
const DISCOURSE = `
  yes yeah yep yup no nope okay ok alright sure right correct exactly absolutely definitely certainly obviously clearly
  frankly honestly actually basically really literally essentially generally typically simply probably possibly
  hopefully particularly specifically especially relatively pretty fairly certain somewhat indeed overall again course
  well oh ah uh um hmm hi hello hey bye goodbye welcome please sorry pardon excuse
  thank thanks thanking thankful congratulations congrats kudos appreciate appreciated grateful pleasure pleased glad
  happy excited delighted nice great good fine perfect fantastic wonderful terrific awesome excellent fair helpful
  morning afternoon evening night day everyone folks guys guy gentlemen ladies sir ma'am team
  operator question questions questioner answer answers answered answering ask asked asking analyst analysts caller
  line lines queue call calls conference webcast slide slides page chart remark remarks comment comments commentary
  follow follow-up follow-ups followup color colour clarity clarification clarify detail details detailed sense context
  perspective thought thoughts view views standpoint viewpoint point points pointed note noted mention mentioned
  mentioning said say saying says speak speaking spoke speaks talk talked talking talks tell telling told discuss
  discussed discussion describe described explain refer referred referring reference highlight highlighted
  think thinking thinks thought feel feeling feels felt believe believes know knows knowing known guess suppose imagine
  assume understand understood wonder wondering curious mean means meant hear heard hearing remember recall see seeing
  seen sees saw look looks looked looking watch listen show shows showed
  go goes going gone went come comes coming came get gets getting got gotten give gives giving given gave take takes
  taking took taken make makes making made put puts putting keep keeps keeping kept let lets letting want wants wanted
  wanting need needs needed try trying tried use used using work works happen happens happened happening start started
  starting turn turned turning move moved moving bring brings brought end ended ending help helps helped add adds
  thing things stuff bit lot lots kind kinds sort sorts type types piece pieces part parts bunch couple number numbers
  way ways case cases place side area areas level levels example instance term terms basis fact reason reasons idea
  matter issue little big bigger large larger small smaller high higher low lower long longer short real true different
  similar various
  time times moment minute hour week weeks month months quarter quarters quarterly year years year-over-year
  quarter-over-quarter sequentially annual annually fiscal half first second third fourth last next previous prior past
  recent recently current currently far ago early earlier late q1 q2 q3 q4
  people person somebody company companies business businesses
  million billion thousand dollar dollars percent percentage basis
  like able whole total back forward ahead away together able anyway regard regards respect
  new continue continues continued continuing remain remains
  gonna wanna gotta cause kinda
`

export const STOP_WORDS: ReadonlySet<string> = listed(GRAMMAR)
export const DISCOURSE_WORDS: ReadonlySet<string> = listed(DISCOURSE)

/** The words of a sentence in small letters, figures among them; `<UNK>`, which stands for a name taken out, is none. */
export function words(sentence: string): string[] {
  return (
    sentence
      .toLowerCase()
      .replaceAll('<unk>', ' ')
      .replaceAll('’', "'")
      .match(/[\p{L}\p{N}]+(?:['&.,-][\p{L}\p{N}]+)*/gu) ?? []
  )
}

/** 43, 1,250.5, 10-15: a figure, not a word. q3 and 5g are words. */
export function isFigure(word: string): boolean {
  return /^[\p{N}.,&'-]+$/u.test(word)
}

function listed(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/))
}
