// Words that carry meaning in a sentence and none as a name: "better, able, impact, going up".
// Alone they are never keywords; inside a phrase they may stay ("hard drive", "new home sales").
// Grammar and manners of speaking, which are out everywhere, are words.ts.

// Read out of the 2,300 words that 3 % or more of 1,023 calls of MAEC use (2016Q3 to 2017Q1): general verbs, adjectives,
// adverbs, and nouns that take any subject; months and days, since every firm has all of them. Nouns of business stay out of it, however common: the share of firms that
// use them weighs them already.
export const VAGUE_WORDS: ReadonlySet<string> = new Set(
  `
  january february march april june july august september october november december
  monday tuesday wednesday thursday friday saturday sunday
  ability absence absent absolute accelerate accelerates accelerating accentuate accept accompany accomplish according
  accurate achievable achieve achieves achieving act acting action actionable actions active activities activity
  actual adding addition additional additions address addressing adequate adjust adjusting adopt advance advantage
  affect affects afford age aggregate aggressive agree agreed align alike alive allow allowing allows alone
  alternative altogether amazing amount amounts announce announcing anticipate anticipates anticipating anymore
  anywhere apart apparent appeal appear appears applicable applies applying approach approaches approaching
  appropriate area arena arise arithmetic array arrive articulate aspect aspects assess assessing assist assumes
  assuming attempt attention attract attractive attributable attribute attributes attribution available average
  averages avoid aware back-end background bad ballpark base basic bear beat become becomes becoming began begin
  beginning begins begun behalf behave behavior belief believing belong beneficial benefit benefiting benefits best
  bet better bias big biggest bits bode borne bottom bought bounce bounces break breakdown bright broad broader bucket
  buckets build building builds built bullish business busy buy cadence calculate calculation calculations calculus
  calendar calling candidate capability capable capture carry carrying case catch categorize causing central certainty
  cetera challenge challenges challenging chance change changes changing characterize check choice choose chosen chunk
  circumstance circumstances clean clear clearer clip close closer coincidence collar colleagues combination combine
  combining comfort comfortable commensurate commenting commit commitment common communicate communication companywide
  comparable compare compares comparing comparison comparisons compelling compete competing competitive
  competitiveness complement complementary complete completing completion complex component components composition
  comprehensive conceivable concentrate concept concern concerns conclude concludes conclusion concurrent condition
  conditions conduct confidence confident confirm confirmation consecutive conservative consider considerable
  consideration considerations considering consist consistency consistent consists constant constitute contact
  contemplate contemplating continual continuation contrast contribute contributes contributing contribution
  contributions contributor contributors control controlling conversation conversations cope core correlate
  corresponding count cover covers create creates creating creation critical crucial cut cuts cutting cyclical darn
  date day day-in day-out day-to-day days dealing dealt dearest debate decade decades decent decide decides deciding
  decision decisions decline declines declining decrease decreases deem deep deeper defer define definition degree
  deliver delivering delivers demonstrate demonstrates depend dependent depending depends deploy deploying describing
  deserve design desire determine determining develop developing development developments devote dialogue differ
  difference differences differential difficult difficulty digest digit digits dimensions direct direction directional
  disappointing disclose discrete discussing discussions displace distinct distinction diverse diversify doable double
  double-digit doubt down-market downs downside downward downwards dozen dozens drag drain dramatic draw drawn drew
  drive driven driver drivers drives driving drop drop-off dropping drops drove due duration dynamic dynamics eager
  earliest ease easier easiest easy economic edge effect effective effects efficient effort efforts eight elaborate
  element elements elevate eleven eliminate elsewhere embedding emerge emerging emphasis emphasize enable enables
  enabling encounter encourage encouraging end-to-end ends engage engaging enhance enhancements enhances enhancing
  enjoy ensure ensures ensuring enter entering enters enthusiastic entire environment environments equal equate
  equation equivalent essential establish establishing estimate et etcetera evaluate evaluating evaluation evasive
  event events eventual everyday everywhere evidence evident evolution evolve evolves evolving exact examine examples
  exceed exceeding exceeds excellence exception exceptional exceptions excess excitement exciting exclude excludes
  excluding exclusive execute executes executing execution exercise exhibit exist existence existing exists exit
  exiting expand expanding expands expansions expect expectation expectations expecting expects experience experiences
  experiencing expert explore exploring express extend extending extends extensive extent extra extraordinary extreme
  eye eyes face facing factor factoring factors facts fair fall falling falls familiar farther fashion fast faster
  fastest favor favorable feature feedback fell fifteen fifth fifty figure figures figuring file fill fills final
  finalize find finding findings finds finger fingertips finish firm firms first fit fits fitting five flag
  flagging flat flattish flexible flip flow-through flows focus focuses focusing fold folding following follows force
  fore foremost foresee foreseeable forever forget form former forms forth forthcoming fortunate forwards found
  foundation four fourth-quarter frame framework free frequent fresh front front-end frustrating fulfill full
  full-year fun function functional fundamental fundamentals further furthermore future gain gaining gains
  game-changer gap gaps gather general generate generates generating generation genuine geographic go-forward go-get
  goal goals gradual granular granularity greater greatest grew ground group grow growing grown grows guarantee
  guess-work guide guiding half halfway hand handicap handing handle hands hard harder hardest head heading headwind
  headwinds healthy heart heavier heavy height held helping hierarchy high high-single-digit higher highest highlights
  hinge hinges hire hires historic historical history hit hits hitting hold holding holds honest honor hope hoping hot
  hours huge hundred hundreds hurdle hypothetical ideal ideas identify identifying ignore ill illustrate immediate
  impact impacting impacts imperative implement implementing implication implications implies importance important
  impossible impressive improve improvement improvements improves improving inappropriate inaudible incident include
  includes including inclusive incorporate increase increases increasing incredible incremental incur indicate
  indicates indicating indication indications indicative indicator individual industry-leading inflection influence
  inform information inherent initial initiate initiative initiatives innovative input inside insight insights
  instances integral integrate integrating intend intensity intent intention intentions interesting interim internal
  interpret introduce introducing invest investing involve involves involving issues item items jay job join joining
  journey judge judgment jump justify keen key kick kicking knew knowledge lack lag laid lap large largest lasting
  latest latter laughter lay lead leader leaders leading leads lean learn learning learnings leave leaves leaving led
  left legitimate length lesser level levels levers lieu life lift light likelihood limit limits line line-up linear
  link linkage list listening live lives living local locate logic logical long long-term longer-term longest lose
  loses losing lost love low low-single-digit lower lowest luck lucky lumpiness lumpy macroeconomic magnitude main
  maintain maintaining maintains major majority manage manageable managing manner marginal mark massive match material
  materialize math mathematical matters max maximize maximum meaning meantime measurable measure measures measuring
  mechanism meet meeting meetings meets memo mere message met method methodology metric metrics mid mid-point
  mid-single-digit mid-teens middle midpoint millions mind mindset minimal minimize minimum minor minus minutes mirror
  miss missing mistake mode model modeling moderate moderating modest momentum monitor monitoring month-to-month
  moreover movement movements moves moving-parts multi-year multiple multiyear mutual narrative nature near-term
  nearer necessary necessity needing needle negative negatives negotiating net net-net neutral new newer newest night
  nine nobody nominal non-people nonetheless normal normalize normalizing notable notes notice noticeable notion
  notwithstanding nowhere nuance nutshell object objective objectives observation observe obtain occasion occur
  occurring occurs odd offer offering offers offset offsets offsetting oftentimes old older one-time ongoing open
  opening opens operate operates operating operational opinion opportunistic opportunities opportunity opposite optimal optimism
  optimistic optimization optimize optimizing option options order order-of-magnitude ordinary organization
  organizational organizations organize oriented original others ought outcome outcomes outline outpace outside
  outstanding overlap overlay overnight overview own pace page paint pair paragraph parallel partial participate
  participating participation particular party pass past pattern patterns pause pay paying pays perceive percentages
  perception perform performance performing performs period period-to-period periodic periods permanent permit
  personal persons perspectives perturbations phase phases phenomenal phenomenon philosophy pick picking picks picture
  pie pile places placing plain plan plans play player players playing plays plenty plus pockets pointing pop portion
  portions pose position positioning positions positive positives possibilities possibility possible post potential
  practical practice practices precise precision predict predictable prefer preliminary premature premier preparation
  prepare preparing presence present presentation presenting preserve press pressing prevent primary principal prior
  priorities prioritize priority proactive probability problem problems procedure proceed proceeding process processes
  produce produces producing profile profound progress progresses progressing progression prominent promise promising
  promotional prompt prone proof proper proportion proposition proprietary prospect prospective prospects proud prove
  proven provide provider provides providing proximity proxy prudent pull pulling pure purpose purposes pursue
  pursuing push pushing qualifies qualify qualifying qualitative quantify quantum quarter-to-quarter quick quicker
  quiet quote radar raise raises raising ran random range ranges ranging rapid rare rationale reach reaches reaching
  react reaction reactions read reading ready reaffirm real realistic reality realization realize realizing rearview
  reasonable reasoning rebuild receive receiving recognize recognizing recommend reconcile record recover recovering
  redeploy reduce reduces reducing refine reflect reflecting reflection reflective reflects refresh regardless
  regional regular regulatory reinforce reiterate reiterating relate relates relating relation relative relevance
  relevant reliable reliance remainder remaining remarkable remind reminder remove repeat replace replacing report
  reporting reports represent representing represents request require requirement requirements requires requiring
  reset resolve resonate respond response responses responsible responsive rest restate result resulting results
  resume retain reverse review reviewing revise revisit rhetoric right-hand rise risen rises rising robust role roles
  roll rolling rolls room root rooting rough round route rule-of-thumb run running runs safe sake save scenario
  scenarios scope scratch seasonal secular seek seeking seem seems select selective sell sellable semantics send
  senior sensible sensitive sent separate sequence sequential series serve serves set sets setting settle seven shape
  sharing sharp sharper shift shifting shifts short short-term shorter shot showing shown sick side-by-side sides sign
  signal signals significance significant signs simple simpler simplify single single-digit sit sits sitting situation
  situations six sizable size skill slice slight slip slow slower slowing small smart smooth snap sold solid sometime
  somewhere sooner sound sounds space spaces span special specific specifics speed spend spends spite split spot
  stable stage stages stance stand stand-alone standalone standard standing stands starts state statement states stay
  staying stays steady step stepping steps stick sticking stood stop straight straightforward strategic strategies
  strategy strength strengthen strengthening strengths stress strong stronger strongest structural structure struggle
  style subject subsequent subset substance substantial success successes sudden suffer sufficient suggest suggesting
  suggests suit suitable sum summarize summary super superb superior support supporting supportive supports surprise
  surprising suspect sustain sustainable swing tackle tail tailor tailwind tailwinds take-away tangible tap target
  targeting targets task taste tells tempo temporary ten tend tending tends terrible theme themes theory thereafter
  thereof thesis thinking third third-quarter thirty thousands three threshold throw thrown tie ties tight tighter
  time timeframe timeline timing tiny tomorrow ton tone tons top top-notch topic topics touch tough tougher track
  tracking trajectory transform translate translates transparency transparent treat trend trending trends trick
  trigger triggers triple trouble trunk turns twelve twenty two twofold typical ultimate unable uncertain
  uncertainties uncertainty underlying underneath underpin understandable understanding undertake undertaken
  undertaking underway unfavorable unfold unfortunate unique universe unknown unlike unusual upcoming update updates
  updating upfront uplift upper upside uptick upward upwards urge use uses usual utilize utilizing valid valuable
  variable varies variety vary varying vast verge version viable virtual visibility visible vital vocabulary volatile
  wait waiting walk warrant watching weak weaker weakness weigh whack whammy whatever whatsoever wheelhouse whereby
  wherever wide wider willing win wise wish won word words work working world world-class worldwide worry worse worst
  worst-case worth worthwhile wrap write written wrong wrote year-ago year-end year-on-year year-to-date year-to-year
  yesterday young zero
  `
    .trim()
    .split(/\s+/),
)
